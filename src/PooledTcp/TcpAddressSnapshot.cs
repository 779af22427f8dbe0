using System.Net;

namespace PooledTcp;

/// <summary>One address of an endpoint at one moment.</summary>
public sealed record TcpAddressSnapshot
{
    internal TcpAddressSnapshot()
    {
    }

    /// <summary>
    /// Where to: an <see cref="IPEndPoint"/>, a <see cref="System.Net.Sockets.UnixDomainSocketEndPoint"/>, or a
    /// <see cref="DnsEndPoint"/> for a name that was not resolved yet or that a connect callback connects to.
    /// </summary>
    public required EndPoint EndPoint { get; init; }

    /// <summary>Open connections to it, idle or used.</summary>
    public required int Connections { get; init; }

    /// <summary>Whether it is dialed.</summary>
    public required BreakerState BreakerState { get; init; }

    /// <summary>Failed dials since the last good one.</summary>
    public required int ConsecutiveFailures { get; init; }
}
