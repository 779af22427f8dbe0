using System.Net;
using System.Net.Sockets;

namespace PooledTcp.CacheServiceTests.Support;

/// <summary>Ports to listen on.</summary>
internal static class FreePort
{
    // Below the ephemeral ones, above those of other test projects.
    private const int First = 28_000;
    private const int Count = 4_000;

    private static int _next = Random.Shared.Next(Count);

    /// <summary>A port from 28000 to 31999 that nothing listens on.</summary>
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
