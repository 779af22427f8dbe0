using System.Net;
using System.Net.Sockets;

namespace PooledTcp.IntegrationTests.Servers;

internal static class FreePort
{
    private const int First = 20_000;

    // Up to those that OutageReplay, played beside these tests, looks for servers of its own.
    private const int Count = 6_000;

    private static int _next = Random.Shared.Next(Count);

    /// <summary>A port below 26000 that nothing listens on.</summary>
    public static int Next()
    {
        while (true)
        {
            int port = First + (Interlocked.Increment(ref _next) % Count);
            using var probe = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                probe.Bind(new IPEndPoint(IPAddress.Loopback, port));
                probe.Listen();
                return port;
            }
            catch (SocketException)
            {
                // Somebody else's.
            }
        }
    }
}
