namespace PooledTcp.TestSupport;

/// <summary>What a <see cref="FaultProxy"/> does to a connection instead of relaying it.</summary>
public enum Fault
{
    /// <summary>Relays.</summary>
    None,

    /// <summary>A black hole: neither reads nor writes nor closes. Healed, it goes on where it stopped.</summary>
    Stall,

    /// <summary>Replies go on a byte at a time. Healed, at full speed.</summary>
    Drip,

    /// <summary>Closes: a FIN, and an RST for whatever the client sends after it.</summary>
    Cut,

    /// <summary>RST.</summary>
    Reset,

    /// <summary>A FIN, but goes on reading what the client sends. Healed, an RST.</summary>
    HalfClose,

    /// <summary>Sends bytes that belong to no protocol, at once and then for whatever it reads. Healed, an RST.</summary>
    Garbage,

    /// <summary>Reads and says nothing. Healed, an RST: what it swallowed cannot be brought back.</summary>
    Silent,

    /// <summary>The server's process is gone: nobody listens, and every connection is reset.</summary>
    Refuse,
}

/// <summary>When a fault that was ordered sets in.</summary>
public enum FaultTrigger
{
    /// <summary>Now, or on a later connection as soon as it is accepted.</summary>
    AtOnce,

    /// <summary>
    /// On each connection when its next request has come, which is not relayed: the race that no look before it can win.
    /// </summary>
    InRequest,

    /// <summary>On each connection after some bytes of its next reply, which are relayed.</summary>
    InReply,

    /// <summary>On each connection when the client's FIN comes.</summary>
    AtClientFin,
}

/// <summary>Which connections a fault is for.</summary>
[Flags]
public enum FaultScope
{
    Live = 1,
    Later = 2,
    All = Live | Later,
}

/// <param name="Fault">What happens.</param>
/// <param name="Trigger">When.</param>
/// <param name="ReplyBytes">With <see cref="FaultTrigger.InReply"/>: how many bytes still get through; at least 1.</param>
internal readonly record struct FaultOrder(Fault Fault, FaultTrigger Trigger = FaultTrigger.AtOnce, int ReplyBytes = 1);
