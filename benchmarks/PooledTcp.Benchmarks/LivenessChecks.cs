using System.Net;
using System.Net.Sockets;
using BenchmarkDotNet.Attributes;
using PooledTcp.Connections;
using PooledTcp.Health;

namespace PooledTcp.Benchmarks;

/// <summary>What it costs to know whether an idle connection is still good, on sockets over loopback.</summary>
#pragma warning disable CA1001 // CleanUp is where BenchmarkDotNet disposes
public class LivenessChecks
#pragma warning restore CA1001
{
    private const int Many = 256;

    private readonly List<Socket> _servers = [];
    private TcpConnection[] _connections = [];

    /// <summary>Opens the connections.</summary>
    [GlobalSetup]
    public void SetUp()
    {
        using Socket listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen(Many);
        _connections = [.. Enumerable.Range(1, Many).Select(id => Open(listener, id))];
    }

    /// <summary>Closes them.</summary>
    [GlobalCleanup]
    public void CleanUp()
    {
        Array.ForEach(_connections, static connection => connection.Transport.Close());
        _servers.ForEach(static server => server.Dispose());
    }

    /// <summary>At every rent: did the watcher see the peer close?</summary>
    [Benchmark]
    public bool Flag() => _connections[0].PeerHasClosed;

    /// <summary>At every rent: is anything to be read?</summary>
    [Benchmark]
    public bool Readable() => _connections[0].Transport.CheckIdle() == IdleVerdict.Clean;

    /// <summary>At the rent of one that idled long: does the peer still acknowledge?</summary>
    [Benchmark]
    public bool TcpInfo() => _connections[0].Transport.HasVanished(TimeSpan.FromHours(1));

    /// <summary>Once in a connection's life; a 256th of making the watch and its thread is in it.</summary>
    [Benchmark(OperationsPerInvoke = Many)]
    public void Watch()
    {
        using PeerCloseWatch watch = new();
        foreach (TcpConnection connection in _connections)
        {
            watch.TryAdd(connection, Nobody.Instance);
        }
    }

    private TcpConnection Open(Socket listener, int id)
    {
        Socket client = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        client.Connect(listener.LocalEndPoint!);
        _servers.Add(listener.Accept());
        return new TcpConnection(id, "benchmark", new SocketTransport(new ConnectedSocket(client)), null!, 0, 1, new PoolClock(TimeProvider.System));
    }

    private sealed class Nobody : IPeerCloseSink
    {
        public static readonly Nobody Instance = new();

        public void OnPeerClosed(TcpConnection connection)
        {
        }
    }
}
