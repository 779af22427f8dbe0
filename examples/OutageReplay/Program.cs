using OutageReplay.Acts;
using OutageReplay.Network;
using OutageReplay.Processes;

namespace OutageReplay;

/// <summary>
/// One program, four parts: what you start plays the whole replay; the verbs below are the same program re-executed
/// as a child. .NET reads /proc/net of the main thread's namespace, so an act needs a process of its own.
/// </summary>
internal static class Program
{
    public const string ProbeVerb = "probe-namespace";
    public const string ActVerb = "act";
    public const string GarnetVerb = "garnet";

    private static Task<int> Main(string[] args) => args switch
    {
        [ProbeVerb] => Task.FromResult(NetworkNamespace.AnswerProbe()),
        [ActVerb, string settings] => ActHost.RunAsync(settings),
        [GarnetVerb, .. string[] endpoints] => GarnetHost.RunAsync(endpoints),
        _ => RunReplayAsync(args),
    };

    private static async Task<int> RunReplayAsync(string[] args)
    {
        ReplayArguments? arguments = ReplayArguments.Parse(args, out int exitCode);
        if (arguments is null)
        {
            return exitCode;
        }

        using var interruption = new Interruption();
        try
        {
            return await Replay.RunAsync(arguments, interruption.Token);
        }
        catch (Exception exception) when (interruption.Signal is not null && exception is (OperationCanceledException or ReplayException))
        {
            // A ReplayException too: a terminal interrupts the children as well, and one of them may have been faster.
            await Console.Error.WriteLineAsync("Interrupted. Nothing is left running.");
            return interruption.ExitCode;
        }
        catch (ReplayException failure)
        {
            await Console.Error.WriteLineAsync(failure.Message);
            return ExitCodes.Failed;
        }
    }
}
