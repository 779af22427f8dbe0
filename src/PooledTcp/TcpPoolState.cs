namespace PooledTcp;

/// <summary>What a pool does with a rent.</summary>
public enum TcpPoolState
{
    /// <summary>Lends.</summary>
    Open,

    /// <summary>Lets rents wait until <see cref="TcpPool.Resume"/>.</summary>
    Paused,

    /// <summary>Refuses new rents and serves the ones that wait already.</summary>
    Draining,

    /// <summary>Refuses everything: the client was disposed.</summary>
    Closed,
}
