using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using PooledTcp.KernelTests.Outage;
using PooledTcp.LoadTest.Contenders;

namespace PooledTcp.LoadTest.Namespaces;

/// <summary>What a service does without a pool: one connection for each request, which it closes first.</summary>
internal static class ConnectPerRequest
{
    private const int Callers = 64;

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

    /// <summary>
    /// Seconds until the first request fails; null if none does. For <c>Namespaced</c>. Of the requests no more than
    /// <see cref="Callers"/> are under way: once half of the ports are gone a connect searches that half first, for
    /// milliseconds, and what is offered beyond that would take descriptors instead of ports.
    /// </summary>
    public static async Task<double?> FindFirstFailureAsync()
    {
        using SmallServer server = SmallServer.Start();
        using SemaphoreSlim places = new(Callers);
        long start = Stopwatch.GetTimestamp();
        long first = 0;
        await PacedLoad.RunAsync(Churn.PerSecond, TimeSpan.FromSeconds(18), async () =>
        {
            await places.WaitAsync();
            try
            {
                if (Volatile.Read(ref first) == 0)
                {
                    await ExchangeAsync(server.EndPoint);
                }
            }
            catch (SocketException e) when (e.SocketErrorCode == SocketError.AddressNotAvailable)
            {
                Interlocked.CompareExchange(ref first, Stopwatch.GetTimestamp(), 0);
            }
            finally
            {
                places.Release();
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
