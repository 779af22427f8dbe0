namespace PooledTcp;

/// <summary>Whether an endpoint, or one of its addresses, is dialed.</summary>
public enum BreakerState
{
    /// <summary>It is dialed whenever a connection is wanted.</summary>
    Closed,

    /// <summary>
    /// Too many dials in a row have failed: nothing is dialed until a pause is over, and rents that would need a dial fail at
    /// once. Idle connections are lent.
    /// </summary>
    Open,

    /// <summary>The pause is over: the next dial is a probe, and while it runs there is no other.</summary>
    HalfOpen,
}
