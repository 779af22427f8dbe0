using System.ComponentModel;
using System.Net;
using OutageReplay.Processes;

namespace OutageReplay.Network;

/// <summary>
/// An unprivileged network namespace made by <c>unshare -Urn</c>: there we may shrink the port range and own an address.
/// The namespace lives as long as the processes in it, so nothing has to be cleaned up.
/// </summary>
internal static class NetworkNamespace
{
    /// <summary>
    /// Our own address on lo. With 127.0.0.1 the default tcp_tw_reuse = 2 would hand out TIME_WAIT ports again after
    /// one second and hide the outage (tcp-facts section 3).
    /// </summary>
    public static readonly IPAddress ServerAddress = IPAddress.Parse("10.99.0.1");

    public const int ServerPort = 6399;

    public static readonly PortWindow Window = PortWindow.StartingAt(40000);

    /// <summary>The command that runs this program again inside a fresh namespace.</summary>
    public static IReadOnlyList<string> Command(params string[] arguments) =>
        ["unshare", "-Urn", "--", .. ChildProcess.SelfCommand(arguments)];

    /// <summary>Null where namespaces work, else the reason why not. Found out by trying: no file tells for sure.</summary>
    public static async Task<string?> FindObstacleAsync(CancellationToken cancellationToken)
    {
        try
        {
            await using ChildProcess probe = ChildProcess.Start(Command(Program.ProbeVerb));
            int exitCode = await probe.WaitForExitAsync(cancellationToken);
            return exitCode == 0 ? null : await probe.ReadErrorAsync(cancellationToken);
        }
        catch (Win32Exception)
        {
            return "the command unshare, of util-linux, cannot be started";
        }
    }

    /// <summary>The probe's half of <see cref="FindObstacleAsync"/>: does all that an act will need, in a namespace that is then thrown away.</summary>
    public static int AnswerProbe()
    {
        try
        {
            Configure();
            return ExitCodes.Proved;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or Win32Exception)
        {
            Console.Error.WriteLine(exception.Message);
            return ExitCodes.Failed;
        }
    }

    /// <summary>Prepares the namespace that this process was started in.</summary>
    public static void Configure()
    {
        LoopbackInterface.BringUp();
        LoopbackInterface.AddAddress(ServerAddress);
        Window.ApplyToNamespace();
    }
}
