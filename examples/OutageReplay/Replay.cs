using OutageReplay.Acts;
using OutageReplay.Output;
using OutageReplay.Processes;

namespace OutageReplay;

/// <summary>The whole play: outage, cure, connections that must be closed, verdict.</summary>
internal static class Replay
{
    public static async Task<int> RunAsync(ReplayArguments arguments, CancellationToken cancellationToken)
    {
        Stage stage = await Stage.ChooseAsync(arguments.NoNamespace, cancellationToken);
        int requests = PacedLoad.RequestsIn(TimeSpan.FromSeconds(arguments.Seconds / 2.0));
        var naive = new ActProgress("connect per request", stage.SettingsFor(ActKind.Naive, requests));
        var pooled = new ActProgress("PooledTcpClient", stage.SettingsFor(ActKind.Pooled, requests));

        Console.WriteLine(stage.Describe());
        Console.WriteLine(
            $"Load: {requests} requests for each of the first two acts, {PacedLoad.RequestsPerSecond} a second, {PacedLoad.BurstSize} at a time.");

        await Display.ShowAsync([naive, pooled], async refresh =>
        {
            await PlayAsync(naive, refresh, cancellationToken);
            await PlayAsync(pooled, refresh, cancellationToken);
        });

        IReadOnlyList<ChurnFigures> churn = await PlayChurnAsync(stage, cancellationToken);
        var report = new Report(naive.Figures, pooled.Figures, churn, ReplayEnvironment.Describe(stage, arguments.Seconds));
        var verdict = Verdict.On(report);
        ClosingTable.Write(report);
        ChurnTable.Write(report.Churn);
        Console.WriteLine(verdict.Sentence);
        if (arguments.JsonFile is not null)
        {
            await report.WriteAsync(arguments.JsonFile, cancellationToken);
        }

        return verdict.Proved ? ExitCodes.Proved : ExitCodes.Failed;
    }

    private static async Task<IReadOnlyList<ChurnFigures>> PlayChurnAsync(Stage stage, CancellationToken cancellationToken)
    {
        ActSettings settings = stage.SettingsFor(ActKind.Churn, ChurnHost.Requests);
        Console.WriteLine($"Third act: connections that must be closed after one request, {settings.Requests} under each policy.");
        var churn = new List<ChurnFigures>();
        await foreach (ActMessage message in ActProcess.PlayAsync(settings, cancellationToken))
        {
            if (message is ChurnPlayed played)
            {
                churn.Add(played.Figures);
                Console.WriteLine(ChurnTable.Describe(played.Figures));
            }
        }

        return churn;
    }

    private static async Task PlayAsync(ActProgress act, Action refresh, CancellationToken cancellationToken)
    {
        await foreach (ActMessage message in ActProcess.PlayAsync(act.Settings, cancellationToken))
        {
            act.Take(message);
            refresh();
        }
    }
}
