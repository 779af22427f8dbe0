using System.Net.Sockets;

namespace PooledTcp.Connections;

/// <summary>What only code can set for an endpoint, bound to the objects that implement it. Fixed for the life of the client.</summary>
internal sealed record EndpointHooks
{
    public static readonly EndpointHooks None = new();

    public static EndpointHooks From(TcpEndpointOptions options) => new()
    {
        Handshake = options.Handshake is { } handshake ? handshake.HandshakeAsync : null,
        Reset = options.Reset is { } reset ? reset.ResetAsync : null,
        Probe = options.Health.ProbeProvider is { } probe ? probe.ProbeAsync : null,
        Goodbye = options.Shutdown.GoodbyeProvider is { } goodbye ? goodbye.GetFarewell : null,
        Connect = options.ConnectCallback,
    };

    /// <summary>These hooks, and those of <paramref name="others"/> where there are none here.</summary>
    public EndpointHooks Over(EndpointHooks others) => new()
    {
        Handshake = Handshake ?? others.Handshake,
        Reset = Reset ?? others.Reset,
        Probe = Probe ?? others.Probe,
        Goodbye = Goodbye ?? others.Goodbye,
        Connect = Connect ?? others.Connect,
    };

    /// <summary>Runs on each new connection inside the connect budget; what it returns becomes the lease's Session.</summary>
    public Func<TcpLease, CancellationToken, ValueTask<object?>>? Handshake { get; init; }

    /// <summary>Runs before a connection goes idle; if it throws, the connection closes.</summary>
    public Func<TcpLease, CancellationToken, ValueTask>? Reset { get; init; }

    /// <summary>Runs on a connection that idles; if it throws, the connection closes. It goes before the configured one.</summary>
    public Func<TcpLease, CancellationToken, ValueTask>? Probe { get; init; }

    /// <summary>
    /// The farewell of a connection with that Session, empty for none; it goes before the configured one. User code: it may throw.
    /// </summary>
    public Func<object?, ReadOnlyMemory<byte>>? Goodbye { get; init; }

    /// <summary>
    /// Replaces name resolution and connect (proxies, tests). It returns the raw connected socket, not a stream:
    /// everything this library knows about liveness and closing it knows from the socket.
    /// </summary>
    public Func<TcpConnectContext, CancellationToken, ValueTask<Socket>>? Connect { get; init; }
}
