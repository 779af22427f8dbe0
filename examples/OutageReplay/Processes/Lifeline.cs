using System.Runtime.InteropServices;

namespace OutageReplay.Processes;

/// <summary>
/// A child lives while its parent holds the other end of its standard input. The kernel closes that end however the
/// parent dies, kill -9 included, and even if it died before the child got this far. (PR_SET_PDEATHSIG does neither
/// here: it fires when the thread that spawned us ends, and .NET's pool threads come and go.)
/// </summary>
internal sealed class Lifeline : IDisposable
{
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(2);

    private readonly CancellationTokenSource _cut = new();

    // A terminal sends Ctrl-C to the whole process group; only the parent decides what it means.
    private readonly PosixSignalRegistration _ignoreInterrupt =
        PosixSignalRegistration.Create(PosixSignal.SIGINT, context => context.Cancel = true);

    private Lifeline() => new Thread(Watch) { IsBackground = true, Name = "lifeline" }.Start();

    /// <summary>Cancelled when the parent is gone or wants us to end; two seconds later the process ends in any case.</summary>
    public CancellationToken Cut => _cut.Token;

    public static Lifeline Hold() => new();

    public void Dispose() => _ignoreInterrupt.Dispose();

    private void Watch()
    {
        using Stream input = Console.OpenStandardInput();
        var ignored = new byte[64];
        while (input.Read(ignored) > 0)
        {
        }

        _cut.CancelAsync();
        Thread.Sleep(Grace);
        Environment.Exit(ExitCodes.Failed);
    }
}
