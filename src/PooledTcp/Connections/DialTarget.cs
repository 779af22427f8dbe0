using System.Net;

namespace PooledTcp.Connections;

/// <summary>
/// One place an endpoint can be dialed at: an address of its name, the literal, the unix socket, or whatever a connect
/// callback connects to. The same object for as long as it has connections, so they know when their address is gone.
/// </summary>
internal sealed class DialTarget(EndPoint endPoint)
{
    private volatile bool _isRemoved;

    public EndPoint EndPoint { get; } = endPoint;

    /// <summary>
    /// The name no longer resolves to it: its connections leave as they come back. Written under the pool's gate, read by
    /// every rent and return; false again when the address returns.
    /// </summary>
    public bool IsRemoved
    {
        get => _isRemoved;
        set => _isRemoved = value;
    }

    /// <summary>Open connections to it. Under the pool's gate only.</summary>
    public int Connections { get; set; }

    /// <summary>Dials that try it first. Under the pool's gate only.</summary>
    public int Dials { get; set; }
}
