using System.Diagnostics;
using System.Net;
using System.Text.Json;
using OutageReplay.Network;
using OutageReplay.Processes;

namespace OutageReplay.Acts;

/// <summary>The act's side of <see cref="ActProcess"/>: starts a server, plays the act against it and reports on standard output.</summary>
internal sealed class ActHost(ActSettings settings)
{
    // Fewer than there are ports.
    private const int RehearsalRequests = 48;

    private static readonly TimeSpan SamplePeriod = TimeSpan.FromMilliseconds(100);

    private readonly Scoreboard _scoreboard = new();

    public static async Task<int> RunAsync(string settingsJson)
    {
        using Lifeline lifeline = Lifeline.Hold();
        try
        {
            ActSettings settings = JsonSerializer.Deserialize(settingsJson, ActJson.Default.ActSettings)!;
            await (settings.Kind == ActKind.Churn ? new ChurnHost(settings).PlayAsync(lifeline.Cut) : new ActHost(settings).PlayAsync(lifeline.Cut));
            return ExitCodes.Proved;
        }
        catch (Exception exception) when (!lifeline.Cut.IsCancellationRequested)
        {
            Report(new ActFailed(exception.Message));
            return ExitCodes.Failed;
        }
        catch
        {
            return ExitCodes.Failed;
        }
    }

    private async Task PlayAsync(CancellationToken cancellationToken)
    {
        if (settings.InNamespace)
        {
            NetworkNamespace.Configure();
        }

        await using GarnetProcess server = await GarnetProcess.StartAsync(
            [settings.ServerEndPoint, settings.RehearsalEndPoint], cancellationToken);
        await using (IAct rehearsal = CreateAct(settings.RehearsalEndPoint))
        {
            await PacedLoad.RunAsync(rehearsal, new Scoreboard(), RehearsalRequests, cancellationToken);
        }

        long connects;
        await using (IAct act = CreateAct(settings.ServerEndPoint))
        {
            await SampleUntilAsync(PacedLoad.RunAsync(act, _scoreboard, settings.Requests, cancellationToken));
            connects = act.Connects;
        }

        // Counted once the act has closed everything, so that the pool's own closes are on the bill.
        KernelView kernel = await KernelView.ReadSettledAsync(settings.ServerEndPoint.Port, cancellationToken);
        (int succeeded, int failed, FirstFailure? firstFailure) = _scoreboard.Read();
        var figures = new ActFigures(
            succeeded + failed, failed, firstFailure?.Request, connects,
            _scoreboard.Percentile(0.50), _scoreboard.Percentile(0.99),
            kernel.ClientTimeWait, kernel.ServerTimeWait);
        Report(new ActFinished(figures, firstFailure));
    }

    private IAct CreateAct(IPEndPoint server)
    {
        // In a namespace every socket is confined already.
        PortWindow? window = settings.InNamespace ? null : settings.Window;
        return settings.Kind switch
        {
            ActKind.Naive => new NaiveAct(server, window),
            ActKind.Pooled => new PooledAct(server, window, static endpoint => endpoint.MaxConnections = PacedLoad.BurstSize),
            _ => throw new UnreachableException(),
        };
    }

    private async Task SampleUntilAsync(Task load)
    {
        long start = Stopwatch.GetTimestamp();
        using var timer = new PeriodicTimer(SamplePeriod);
        while (!load.IsCompleted)
        {
            (int succeeded, int failed, FirstFailure? firstFailure) = _scoreboard.Read();
            KernelView kernel = KernelView.Read(settings.ServerEndPoint.Port);
            Report(new ActSample(
                Stopwatch.GetElapsedTime(start), succeeded, failed, PortWindow.Width - kernel.ClientPortsTaken,
                kernel.ClientTimeWait, kernel.ServerTimeWait, firstFailure));
            await Task.WhenAny(load, timer.WaitForNextTickAsync().AsTask());
        }

        await load;
    }

    public static void Report(ActMessage message) =>
        Console.Out.WriteLine(JsonSerializer.Serialize(message, ActJson.Default.ActMessage));
}
