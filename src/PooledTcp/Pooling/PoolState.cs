namespace PooledTcp.Pooling;

/// <summary>Where a pool is in its life. It only moves down this list, except that a drained client closes its pools.</summary>
internal enum PoolState
{
    Open,

    /// <summary>New rents are refused, waiters are still served, idle connections close.</summary>
    Draining,

    /// <summary>Everything is closed or being closed.</summary>
    Closed,

    /// <summary>An ad hoc pool that nobody used for a while: its handles find or make another.</summary>
    Retired,
}
