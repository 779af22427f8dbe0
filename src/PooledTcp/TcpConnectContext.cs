using System.Net;

namespace PooledTcp;

/// <summary>What a connect callback is asked to connect to.</summary>
public sealed class TcpConnectContext
{
    internal TcpConnectContext(string poolName, EndPoint endPoint)
    {
        PoolName = poolName;
        EndPoint = endPoint;
    }

    /// <summary>Name of the pool that dials: the endpoint's name, or the address of an ad hoc endpoint.</summary>
    public string PoolName { get; }

    /// <summary>
    /// Where to connect: a <see cref="DnsEndPoint"/> for a host name, an <see cref="IPEndPoint"/> for a literal, or a
    /// <see cref="System.Net.Sockets.UnixDomainSocketEndPoint"/>.
    /// </summary>
    public EndPoint EndPoint { get; }
}
