using System.Net;
using System.Net.Sockets;

namespace PooledTcp.KernelTests.Harness;

/// <summary>A server that accepts everything and keeps it, so that a scenario can close either side when it wants.</summary>
internal sealed class Peer : IDisposable
{
    private readonly Socket _listener;

    public Peer(IPAddress address, int port, bool dualMode = false)
    {
        _listener = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        if (dualMode)
        {
            _listener.DualMode = true;
        }

        _listener.Bind(new IPEndPoint(address, port));
        _listener.Listen(4096);
        EndPoint = new IPEndPoint(address, port);
    }

    public IPEndPoint EndPoint { get; }

    public static Peer Start(int port = 5001, string address = NamespaceSettings.Server) => new(IPAddress.Parse(address), port);

    /// <summary>Connects a socket (an ordinary one by default), and accepts the other end of it.</summary>
    public Pair Connect(Socket? client = null, EndPoint? to = null)
    {
        client ??= new Socket(EndPoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        client.Connect(to ?? EndPoint);
        return new Pair(client, Accept());
    }

    public Socket Accept() => _listener.Accept();

    public void Dispose() => _listener.Dispose();
}

/// <summary>Both ends of a connection, and the ways to close it that say where TIME_WAIT goes (tcp-facts section 1).</summary>
internal readonly record struct Pair(Socket Client, Socket Server)
{
    public IPEndPoint Local => (IPEndPoint)Client.LocalEndPoint!;

    public void CloseClientFirst() => CloseInOrder(Client, Server);

    public void CloseServerFirst() => CloseInOrder(Server, Client);

    private static void CloseInOrder(Socket first, Socket second)
    {
        Span<byte> one = stackalloc byte[1];
        first.Shutdown(SocketShutdown.Send);
        second.Receive(one);
        second.Shutdown(SocketShutdown.Send);
        first.Receive(one);
        second.Dispose();
        first.Dispose();
    }
}
