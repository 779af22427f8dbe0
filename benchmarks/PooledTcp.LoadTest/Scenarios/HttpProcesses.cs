using PooledTcp.LoadTest.Contenders;
using PooledTcp.LoadTest.Reporting;
using PooledTcp.LoadTest.Servers;
using PooledTcp.LoadTest.Statistics;

namespace PooledTcp.LoadTest.Scenarios;

/// <summary>
/// One worker against SocketsHttpHandler, client and servers in several new processes. Where one request is under way and nothing else,
/// most of its time goes into waking threads, and Kestrel has two ways of that which last for seconds: around 20,000 requests a second
/// in one, in the other up to 38,000, which is what raw sockets reach. In one process, beside DotNetty's threads, the median of 41
/// rounds was 0.97 to 1.43; in 19 processes of their own 1.02 to 1.56, and 1.3 or more in 17 of them. First of all, since with other
/// servers waiting their median was 1.13 to 1.32.
/// </summary>
internal static class HttpProcesses
{
    public const string Name = "http";

    private const string Pooled = "PooledTcp";
    private const string Http = HttpContender.OnKestrel;

    public static async Task RunAsync(Report report, Effort effort, CancellationToken cancellationToken)
    {
        int count = effort.Pick(full: 11, inShort: 5, smoke: 1);
        Processes processes = (await FreshProcess.PlayAsync(count, report, [Name, $"{effort}"], cancellationToken))[0];
        report.AtLeast(
            "T3.kestrel-1", processes.Ratio(Pooled, Http), 1.2, $"x {Http}", $"rate of 1 worker; servers with inline completions; median of {count} processes, each with servers of its own and no others on the machine");
    }

    /// <summary>The child's side.</summary>
    public static async Task<ProcessRounds> MeasureAsync(Effort effort, CancellationToken cancellationToken)
    {
        await using ServerProcess echo = await ServerProcess.StartAsync(ServerKind.Echo);
        await using ServerProcess kestrel = await ServerProcess.StartAsync(ServerKind.Kestrel);
        Rounds<Contender, Slice> rounds = await Scenario.CompareAsync(
            [new PooledContender(Pooled, echo.EndPoint, Wire.Echo, 1), new HttpContender(Http, kestrel.EndPoint, 1)],
            effort.Pick(21, 11, 3),
            contender => Slice.MeasureAsync(contender, 1, EndToEnd.PairedSlice),
            new Neighbours(echo.Id, kestrel.Id),
            new Report(TextWriter.Null, effort),
            cancellationToken);
        return rounds.Export(static slice => slice.Rate);
    }
}
