using System.Net;
using System.Text.Json.Serialization;
using OutageReplay.Network;

namespace OutageReplay.Acts;

internal enum ActKind
{
    Naive,
    Pooled,

    /// <summary>Every policy, one after the other, in one process.</summary>
    Churn,
}

/// <summary>What the parent tells an act. The acts of a replay differ in <see cref="Kind"/> and, outside a namespace, in the server's port.</summary>
/// <param name="InNamespace">The process was started in a fresh network namespace and has to configure it.</param>
internal sealed record ActSettings(ActKind Kind, bool InNamespace, string Server, PortWindow Window, int Requests)
{
    [JsonIgnore]
    public IPEndPoint ServerEndPoint => IPEndPoint.Parse(Server);

    /// <summary>
    /// The server's second address, for requests that only get code compiled. Local ports are counted per destination
    /// (tcp-facts section 3), so they take none away from the act.
    /// </summary>
    [JsonIgnore]
    public IPEndPoint RehearsalEndPoint => AtPort(1);

    /// <summary>The server's address that is <paramref name="offset"/> ports above the first.</summary>
    public IPEndPoint AtPort(int offset) => new(ServerEndPoint.Address, ServerEndPoint.Port + offset);
}
