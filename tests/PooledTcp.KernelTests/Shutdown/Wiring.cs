using System.Net;
using System.Security.Authentication;

namespace PooledTcp.KernelTests.Shutdown;

/// <summary>What the connections of one matrix are made of.</summary>
/// <param name="Tls">None is plain.</param>
/// <param name="Used">One exchange went before the close. Without it TLS 1.3's session tickets are unread in the kernel.</param>
/// <param name="DualMode">An IPv6 socket that speaks IPv4.</param>
internal sealed record Wiring(SslProtocols Tls, bool Used = true, bool DualMode = false)
{
    public IPEndPoint To(IPEndPoint server) => DualMode ? new IPEndPoint(server.Address.MapToIPv6(), server.Port) : server;
}
