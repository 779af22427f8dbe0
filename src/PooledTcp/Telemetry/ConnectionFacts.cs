using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace PooledTcp.Telemetry;

/// <summary>What spans tell of a connection.</summary>
/// <param name="Id">Its number in logs and leases.</param>
/// <param name="Reused">It served somebody before.</param>
/// <param name="Ends">Asked only by a span that is recorded: to know them costs a system call and 100 bytes.</param>
/// <param name="Setup">The span of its dial; none if that was not recorded.</param>
internal readonly record struct ConnectionFacts(long Id, bool Reused, IConnectionEnds Ends, ActivityContext? Setup)
{
    public IEnumerable<ActivityLink>? Links => Setup is { } setup ? [new ActivityLink(setup)] : null;

    public void Describe(Activity span)
    {
        span.SetTag(Attributes.ConnectionId, Id);
        Describe(span, Ends.RemoteEndPoint, Attributes.PeerAddress, Attributes.PeerPort);
        Describe(span, Ends.LocalEndPoint, Attributes.LocalAddress, Attributes.LocalPort);
    }

    private static void Describe(Activity span, EndPoint? end, string address, string port)
    {
        switch (end)
        {
            case IPEndPoint ip:
                // A dual-mode socket that a connect callback made says ::ffff:10.0.0.1.
                span.SetTag(address, (ip.Address.IsIPv4MappedToIPv6 ? ip.Address.MapToIPv4() : ip.Address).ToString());
                span.SetTag(port, ip.Port);
                break;
            case UnixDomainSocketEndPoint unix when unix.ToString() is { Length: > 0 } path:
                span.SetTag(address, path);
                break;
        }
    }
}
