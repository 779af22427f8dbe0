using System.Net;
using System.Net.Sockets;
using Xunit;

namespace PooledTcp.Tests.Connections;

/// <summary>Real sockets over 127.0.0.1, and waits that end at an event instead of after a time.</summary>
internal static class LoopbackSockets
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    /// <summary>The test's token, bounded: what never happens fails the test instead of hanging it.</summary>
    public static CancellationToken Deadline()
    {
        var source = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        source.CancelAfter(Patience);
        return source.Token;
    }

    public static Socket Listen(int backlog = 16)
    {
        var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen(backlog);
        return listener;
    }

    public static int PortOf(Socket listener) => ((IPEndPoint)listener.LocalEndPoint!).Port;

    public static async Task<(Socket Client, Socket Server)> ConnectAsync()
    {
        using Socket listener = Listen();
        var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await client.ConnectAsync(listener.LocalEndPoint!, Deadline());
        Socket server = await listener.AcceptAsync(Deadline());
        server.NoDelay = true;
        return (client, server);
    }

    /// <summary>Closes with an RST.</summary>
    public static void Reset(Socket socket)
    {
        socket.LingerState = new LingerOption(true, 0);
        socket.Close();
    }

    /// <summary>Waits until the kernel says so; only for what loopback delivers at once.</summary>
    public static async Task Until(Func<bool> condition)
    {
        CancellationToken deadline = Deadline();
        while (!condition())
        {
            deadline.ThrowIfCancellationRequested();
            await Task.Yield();
        }
    }

    public static Task UntilReadable(Socket socket) => Until(() => socket.Poll(0, SelectMode.SelectRead));
}
