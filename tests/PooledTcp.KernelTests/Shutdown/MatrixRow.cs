using PooledTcp.KernelTests.Harness;
using PooledTcp.Shutdown;

namespace PooledTcp.KernelTests.Shutdown;

/// <summary>How a connection stands when its close begins.</summary>
internal enum Condition
{
    /// <summary>Nothing is on its way in either direction.</summary>
    Clean,

    /// <summary>The server's bytes are in our receive queue.</summary>
    UnreadInbound,

    /// <summary>192 KB are written, and the server's program has not begun to read.</summary>
    UnsentOutbound,

    /// <summary>The server sent its last words and closed; both are unread here.</summary>
    PeerClosed,

    /// <summary>The server has sent its FIN and will still read our 192 KB.</summary>
    PeerHalfClosed,

    /// <summary>The server's program reads on and never closes, whatever it is told.</summary>
    PeerNeverCloses,

    /// <summary>Nothing reaches the server any more, and we do not know it yet.</summary>
    PeerVanished,
}

/// <summary>What the server's program saw last.</summary>
internal enum PeerSaw
{
    /// <summary>No event: it had closed, or it vanished.</summary>
    Nothing,

    /// <summary>The protocol's farewell (TLS: close_notify), upon which it closed.</summary>
    Farewell,

    /// <summary>An orderly end (TLS: close_notify, then the end).</summary>
    End,

    /// <summary>An end without TLS's close_notify: what a Passive close says, after the server's own.</summary>
    BareEnd,

    /// <summary>ConnectionReset.</summary>
    Reset,
}

/// <summary>How long the client's port stays taken.</summary>
internal enum Port
{
    /// <summary>Free when the close returns.</summary>
    AtOnce,

    /// <summary>Until the server has acknowledged our last segment.</summary>
    RoundTrip,

    /// <summary>Until TCP_USER_TIMEOUT = DrainTimeout gives the server up: 2 s and a retransmit, not 107 (tcp-facts row 12).</summary>
    UserTimeout,

    /// <summary>TIME_WAIT: 60 s.</summary>
    Minute,
}

/// <summary>Who chose the method.</summary>
internal enum ChosenBy
{
    /// <summary>ShutdownPolicy, from these settings and facts.</summary>
    Policy,

    /// <summary>The test, calling CloseMoves: the policy rightly never chooses it there, but a race with the peer can lead to it.</summary>
    Hand,
}

/// <summary>One cell of the matrix, expected or measured.</summary>
/// <param name="Condition">How the connection stands.</param>
/// <param name="Method">How it is to be closed.</param>
/// <param name="By">Who chose the method.</param>
/// <param name="TimeWait">Where the kernel has TIME_WAIT afterwards.</param>
/// <param name="Port">How long the client's port stays taken.</param>
/// <param name="Peer">What the server's program saw.</param>
/// <param name="Lost">Bytes written before the close never arrived.</param>
/// <param name="Account">What PooledTcp wrote into its books.</param>
internal sealed record MatrixRow(
    Condition Condition, CloseMethod Method, ChosenBy By, TimeWaitAt TimeWait, Port Port, PeerSaw Peer, bool Lost, CloseOutcome Account);
