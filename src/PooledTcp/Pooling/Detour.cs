namespace PooledTcp.Pooling;

/// <summary>What keeps rents and returns off the warm path. The pool recomputes it under its gate.</summary>
[Flags]
internal enum Detour
{
    None = 0,

    /// <summary>Someone waits and may be served.</summary>
    Waiters = 1,

    /// <summary>Rents wait, returns stay idle.</summary>
    Paused = 2,

    /// <summary>A lowered MaxConnections is not reached yet, or leaves no place for a retry.</summary>
    Shrinking = 4,

    /// <summary>Draining, closed or retired: nothing is lent to newcomers.</summary>
    Refusing = 8,

    /// <summary>Rents are traced, or remember where they were called, if anybody listens. They are served all the same.</summary>
    Told = 16,

    /// <summary>Newcomers get no idle connection before the pool was asked.</summary>
    ConcernsRents = Waiters | Paused | Shrinking | Refusing,

    /// <summary>What a returned connection has to be looked at for.</summary>
    ConcernsReturns = Waiters | Shrinking | Refusing,
}
