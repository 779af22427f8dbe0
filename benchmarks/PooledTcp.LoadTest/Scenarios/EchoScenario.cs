using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Net;
using PooledTcp.LoadTest.Contenders;
using PooledTcp.LoadTest.Reporting;
using PooledTcp.LoadTest.Servers;
using PooledTcp.LoadTest.Statistics;

namespace PooledTcp.LoadTest.Scenarios;

/// <summary>T3 and T4: 64 bytes there and back, against servers in processes of their own.</summary>
internal static class EchoScenario
{
    private const string Measure = "echo";
    private const string TimesRaw = "x raw sockets";

    /// <summary>Shorter than the others', and so many more: with 21 the median of one worker was 0.92 to 1.03.</summary>
    private static readonly TimeSpan ListenedSlice = TimeSpan.FromMilliseconds(60);

    private static readonly int[] WorkersOfTargets = [1, 8, 32];

    public static async Task RunAsync(Report report, Effort effort, CancellationToken cancellationToken)
    {
        if (report.Asks("T3.kestrel-1"))
        {
            report.Title("64-byte echo against SocketsHttpHandler, one worker (T3)");
            await HttpProcesses.RunAsync(report, effort, cancellationToken);
        }

        await using ServerProcess echo = await ServerProcess.StartAsync(ServerKind.Echo);
        await using ServerProcess bareHttp = await ServerProcess.StartAsync(ServerKind.BareHttp);
        await using ServerProcess kestrel = await ServerProcess.StartAsync(ServerKind.Kestrel);

        report.Title("64-byte echo, paired with raw sockets (T3)");
        foreach (int workers in WorkersOfTargets.Where(workers => report.Asks($"T3.bytes-{workers}")))
        {
            await PairAsync(echo, workers, report, effort, cancellationToken);
        }

        foreach (int workers in WorkersOfTargets.Where(workers => report.Asks($"T3.stream-bytes-{workers}")))
        {
            await StreamAsync(echo, workers, report, effort, cancellationToken);
        }

        report.Title("64-byte echo, paired with rivals (T3)");
        foreach (int workers in WorkersOfTargets.Where(workers => report.Asks($"T3.connect-{workers}")))
        {
            await RivalAsync(echo, kestrel, workers, report, effort, cancellationToken);
        }

        report.Title("64-byte echo, all contenders (T3)");
        foreach (int workers in effort.Pick<int[]>([.. WorkersOfTargets, 128], [128], [8]).Where(workers => report.Asks($"T3.dotnetty-{workers}")))
        {
            await CompareAsync(echo, bareHttp, kestrel, workers, report, effort, cancellationToken);
        }

        report.Title("64-byte echo with a meter listener and the ActivitySource attached (T4)");
        foreach (int workers in WorkersOfTargets.Where(workers => report.Asks($"T4.listened-{workers}")))
        {
            await ListenAsync(echo, workers, report, effort, cancellationToken);
        }
    }

    /// <summary>
    /// Raw sockets, their twin and the pool, in slices so short that they meet the same machine. One pair says little, since how
    /// the scheduler places three or four busy threads on few cores is settled anew with each slice (twins differ by 0.6 to 1.4
    /// on two cores), so there are many: with 35 the median's interval is 6 to 16 % wide.
    /// </summary>
    private static async Task PairAsync(ServerProcess server, int workers, Report report, Effort effort, CancellationToken cancellationToken)
    {
        IPEndPoint endPoint = server.EndPoint;
        SocketContender raw = new("raw sockets", endPoint, Wire.Echo, workers);
        SocketContender twin = new("raw sockets, the twin", endPoint, Wire.Echo, workers);
        PooledContender direct = new("PooledTcp", endPoint, Wire.Echo, workers);
        Rounds<Contender, Slice> rounds = await Scenario.CompareAsync(
            [raw, twin, direct],
            effort.Pick(101, 35, 3, check: 5),
            contender => Slice.MeasureAsync(contender, workers, EndToEnd.PairedSlice),
            new Neighbours(server.Id),
            report,
            cancellationToken);
        report.Add($"{Measure}, paired", twin.Name, workers, "workers", TimesRaw, rounds.Ratio(twin, raw, static s => s.Rate));
        report.Add($"{Measure}, paired", direct.Name, workers, "workers", TimesRaw, rounds.Ratio(direct, raw, static s => s.Rate));
        Sample twins = rounds.Ratio(twin, raw, static s => s.Rate);
        report.Reaches(
            $"T3.raw-{workers}",
            rounds.Ratio(direct, raw, static s => s.Rate),
            0.95,
            TimesRaw,
            $"rate of {workers} workers, direct API, rent check on; the twin's interval is {Report.Text(twins.Low)} to {Report.Text(twins.High)}");
        report.AtMost($"T3.bytes-{workers}", rounds.Of(direct, static s => s.BytesEach), 2, "B/request", $"{workers} workers on {workers} connections, direct API");
    }

    /// <summary>What the Stream costs: few rounds in the short form, as bytes are counted and not timed.</summary>
    private static async Task StreamAsync(ServerProcess server, int workers, Report report, Effort effort, CancellationToken cancellationToken)
    {
        IPEndPoint endPoint = server.EndPoint;
        SocketContender raw = new("raw sockets", endPoint, Wire.Echo, workers);
        PooledContender stream = new("PooledTcp, by Stream", endPoint, Wire.Echo, workers, byStream: true);
        Rounds<Contender, Slice> rounds = await Scenario.CompareAsync(
            [raw, stream],
            effort.Pick(41, 5, 3, check: 3),
            contender => Slice.MeasureAsync(contender, workers, EndToEnd.PairedSlice),
            new Neighbours(server.Id),
            report,
            cancellationToken);
        report.Add($"{Measure}, paired", stream.Name, workers, "workers", TimesRaw, rounds.Ratio(stream, raw, static s => s.Rate));
        report.AtMost($"T3.stream-bytes-{workers}", rounds.Of(stream, static s => s.BytesEach), 64, "B/request", $"{workers} workers on {workers} connections, Stream");
    }

    /// <summary>
    /// The pool and what it has to be ahead of, in short slices, too, but judged by the median. SocketsHttpHandler with one worker is
    /// measured elsewhere: see <see cref="HttpProcesses"/>.
    /// </summary>
    private static async Task RivalAsync(ServerProcess echo, ServerProcess kestrel, int workers, Report report, Effort effort, CancellationToken cancellationToken)
    {
        IPEndPoint endPoint = echo.EndPoint;
        PooledContender pooled = new("PooledTcp", endPoint, Wire.Echo, workers);
        ConnectContender connect = new(endPoint, Wire.Echo);
        DotNettyContender dotNetty = new(endPoint, Wire.Echo, workers);
        HttpContender? http = workers > 1 ? new(HttpContender.OnKestrel, kestrel.EndPoint, workers) : null;
        Rounds<Contender, Slice> rounds = await Scenario.CompareAsync(
            http is null ? [pooled, connect, dotNetty] : [pooled, connect, dotNetty, http],
            effort.Pick(41, 21, 3),
            contender => Slice.MeasureAsync(contender, workers, EndToEnd.PairedSlice),
            new Neighbours(echo.Id, kestrel.Id),
            report,
            cancellationToken);
        report.AtLeast($"T3.connect-{workers}", rounds.Ratio(pooled, connect, static s => s.Rate), 3, "x connect per request", $"rate of {workers} workers");
        report.AtLeast($"T3.dotnetty-{workers}", rounds.Ratio(pooled, dotNetty, static s => s.Rate), 1, "x DotNetty", $"rate of {workers} workers");
        if (http is not null)
        {
            report.AtLeast($"T3.kestrel-{workers}", rounds.Ratio(pooled, http, static s => s.Rate), 1.2, $"x {http.Name}", $"rate of {workers} workers; servers with inline completions");
        }
    }

    private static async Task CompareAsync(
        ServerProcess echo, ServerProcess bareHttp, ServerProcess kestrel, int workers, Report report, Effort effort, CancellationToken cancellationToken)
    {
        IPEndPoint endPoint = echo.EndPoint;
        SocketContender raw = new("raw sockets", endPoint, Wire.Echo, workers);
        PooledContender pooled = new("PooledTcp", endPoint, Wire.Echo, workers);
        ConnectContender connect = new(endPoint, Wire.Echo);
        HttpContender http = new(HttpContender.OnKestrel, kestrel.EndPoint, workers);
        DotNettyContender dotNetty = new(endPoint, Wire.Echo, workers);
        List<(Contender, ServerProcess)> contenders =
        [
            (raw, echo), (pooled, echo), (connect, echo), (http, kestrel), (dotNetty, echo), (new SemaphoreContender(endPoint, Wire.Echo, workers), echo),
        ];
        if (effort == Effort.Full)
        {
            contenders.Add((new SocketContender("raw sockets, the twin", endPoint, Wire.Echo, workers), echo));
            contenders.Add((new PooledContender("PooledTcp, by Stream", endPoint, Wire.Echo, workers, byStream: true), echo));
            contenders.Add((new PooledContender("PooledTcp, with a token", endPoint, Wire.Echo, workers, withToken: true), echo));
            contenders.Add((new HttpContender("SocketsHttpHandler, bare server", bareHttp.EndPoint, workers), bareHttp));
            if (workers > 1)
            {
                contenders.Add((new PooledContender("PooledTcp, half as many connections", endPoint, Wire.Echo, workers / 2), echo));
            }
        }

        Rounds<Contender, Slice> rounds = await EndToEnd.CompareAsync(Measure, contenders, raw, workers, report, effort, cancellationToken);
        if (!WorkersOfTargets.Contains(workers))
        {
            report.AtLeast($"T3.dotnetty-{workers}", rounds.Ratio(pooled, dotNetty, static s => s.Rate), 1, "x DotNetty", $"rate of {workers} workers");
        }
    }

    /// <summary>
    /// One pool, measured with somebody listening and without, in turn. Nobody waits for one of as many connections as workers, and spans are
    /// of those who wait and of dials (of leases only if asked for): what is measured are the histograms of each rent.
    /// </summary>
    private static async Task ListenAsync(ServerProcess server, int workers, Report report, Effort effort, CancellationToken cancellationToken)
    {
        using OneMeterFactory meters = new();
        await using PooledContender pooled = new("PooledTcp", server.EndPoint, Wire.Echo, workers, meters: meters);
        await pooled.OpenAsync();
        Rounds<bool, Slice> rounds = await Rounds<bool, Slice>.RunAsync(
            [true, false],
            effort.Pick(121, 61, 3),
            warmUps: 3,
            async listened =>
            {
                using Listeners? listeners = listened ? new Listeners() : null;
                Slice slice = await Slice.MeasureAsync(pooled, workers, ListenedSlice);
                return listeners is null || listeners.Heard >= 2 * slice.Requests
                    ? slice
                    : throw new LoadTestException($"Of {slice.Requests} requests only {listeners.Heard} measurements were heard: a wait and a use each were to be.");
            },
            Scenario.LetCompileAsync,
            new Neighbours(server.Id),
            cancellationToken);
        report.Count(rounds.Repeated, rounds.Disturbed);
        Sample ratio = rounds.Ratio(true, false, static s => s.Rate);
        report.Add($"{Measure}, listened to", pooled.Name, workers, "workers", "x without listeners", ratio);
        report.Add($"{Measure}, listened to", pooled.Name, workers, "workers", "B/request", rounds.Of(true, static s => s.BytesEach));
        report.AtLeast($"T4.listened-{workers}", ratio, 0.95, "x without listeners", $"rate of {workers} workers on {workers} connections: the histograms of each rent; nobody waits, so no span is made");
    }

    private sealed class OneMeterFactory : IMeterFactory
    {
        private readonly List<Meter> _meters = [];

        public Meter Create(MeterOptions options)
        {
            Meter meter = new(options);
            _meters.Add(meter);
            return meter;
        }

        public void Dispose() => _meters.ForEach(static meter => meter.Dispose());
    }

    /// <summary>What an SDK does at the least: every instrument is heard and added up, every span is sampled and recorded.</summary>
    private sealed class Listeners : IDisposable
    {
        private readonly MeterListener _meters = new();
        private readonly ActivityListener _spans = new()
        {
            ShouldListenTo = static source => source.Name.EndsWith("PooledTcp", StringComparison.Ordinal) || source.Name.Contains("PooledTcp.", StringComparison.Ordinal),
            Sample = static (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
        };

        private double _sum;
        private long _heard;

        public Listeners()
        {
            _meters.InstrumentPublished = static (instrument, listener) =>
            {
                if (instrument.Meter.Name == "PooledTcp")
                {
                    listener.EnableMeasurementEvents(instrument);
                }
            };
            _meters.SetMeasurementEventCallback<double>((_, value, _, _) => Hear(value));
            _meters.SetMeasurementEventCallback<long>((_, value, _, _) => Hear(value));
            _meters.Start();
            ActivitySource.AddActivityListener(_spans);
        }

        /// <summary>Measurements of all instruments.</summary>
        public long Heard => Interlocked.Read(ref _heard);

        public void Dispose()
        {
            _spans.Dispose();
            _meters.Dispose();
        }

        private void Hear(double value)
        {
            _sum += value;
            Interlocked.Increment(ref _heard);
        }
    }
}
