using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using PooledTcp.KernelTests.Outage;
using PooledTcp.LoadTest.Contenders;

namespace PooledTcp.LoadTest.Namespaces;

/// <summary>What a service does without a pool: one connection for each request, which it closes first.</summary>
internal static class ConnectPerRequest
{
    public static async Task ExchangeAsync(IPEndPoint server)
    {
        using Socket socket = await SocketContender.ConnectAsync(server);
        byte[] buffer = [SmallServer.Request];
        await socket.SendAsync(buffer.AsMemory());
        if (await socket.ReceiveAsync(buffer.AsMemory()) != 1)
        {
            throw new EndOfStreamException("The server closed before it had answered.");
        }
    }

    /// <summary>Seconds until the first request fails; null if none does. For <c>Namespaced</c>.</summary>
    public static async Task<double?> FindFirstFailureAsync()
    {
        using SmallServer server = SmallServer.Start();
        long start = Stopwatch.GetTimestamp();
        long first = 0;
        await PacedLoad.RunAsync(Churn.PerSecond, TimeSpan.FromSeconds(18), async () =>
        {
            try
            {
                await ExchangeAsync(server.EndPoint);
            }
            catch (SocketException)
            {
                Interlocked.CompareExchange(ref first, Stopwatch.GetTimestamp(), 0);
            }
        });
        return first == 0 ? null : Stopwatch.GetElapsedTime(start, first).TotalSeconds;
    }

    /// <summary>Until no port is left; how many there were.</summary>
    public static async Task<int> ExhaustAsync(IPEndPoint server)
    {
        int connects = 0;
        await Task.WhenAll(Enumerable.Range(0, 8).Select(async _ =>
        {
            try
            {
                while (true)
                {
                    await ExchangeAsync(server);
                    Interlocked.Increment(ref connects);
                }
            }
            catch (SocketException e) when (e.SocketErrorCode == SocketError.AddressNotAvailable)
            {
                // That was the last one.
            }
        }));
        return connects;
    }
}
