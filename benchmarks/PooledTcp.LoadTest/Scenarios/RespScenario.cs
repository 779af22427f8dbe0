using System.Net;
using PooledTcp.LoadTest.Contenders;
using PooledTcp.LoadTest.Reporting;
using PooledTcp.LoadTest.Servers;

namespace PooledTcp.LoadTest.Scenarios;

/// <summary>GET of a 64-byte value from redis-server, a server that answers in a few microseconds: what a pool costs shows most here.</summary>
internal static class RespScenario
{
    public static async Task RunAsync(Report report, Effort effort, CancellationToken cancellationToken)
    {
        report.Title("RESP: GET of 64 bytes from redis-server");
        await using ServerProcess redis = await ServerProcess.StartAsync(ServerKind.Redis);
        IPEndPoint endPoint = redis.EndPoint;
        foreach (int workers in effort.Pick<int[]>([1, 8, 32, 128], [8], [8]))
        {
            SocketContender raw = new("raw sockets", endPoint, Wire.Get, workers);
            await EndToEnd.CompareAsync(
                "RESP GET",
                [
                    (raw, redis),
                    (new SocketContender("raw sockets, the twin", endPoint, Wire.Get, workers), redis),
                    (new PooledContender("PooledTcp", endPoint, Wire.Get, workers), redis),
                    (new PooledContender("PooledTcp, by Stream", endPoint, Wire.Get, workers, byStream: true), redis),
                    (new SemaphoreContender(endPoint, Wire.Get, workers), redis),
                    (new ConnectContender(endPoint, Wire.Get), redis),
                    (new DotNettyContender(endPoint, Wire.Get, workers), redis),
                    (new RedisContender(endPoint), redis),
                ],
                raw,
                workers,
                report,
                effort,
                cancellationToken);
        }
    }
}
