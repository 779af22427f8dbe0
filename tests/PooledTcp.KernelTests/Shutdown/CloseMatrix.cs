using PooledTcp.Shutdown;
using static PooledTcp.KernelTests.Harness.TimeWaitAt;
using static PooledTcp.KernelTests.Shutdown.ChosenBy;
using static PooledTcp.KernelTests.Shutdown.Condition;
using static PooledTcp.KernelTests.Shutdown.PeerSaw;
using static PooledTcp.KernelTests.Shutdown.Port;
using static PooledTcp.Shutdown.CloseMethod;

namespace PooledTcp.KernelTests.Shutdown;

/// <summary>
/// What each way to close does in the kernel: over plain IPv4, a dual-mode socket, TLS 1.2, and TLS 1.3 with its tickets
/// read or unread. docs/closing.md cites this table.
/// </summary>
/// <remarks>
/// Left out: Passive where the server has not closed (clean, unread, unsent, never closes, vanished). It is our answer to the server's
/// FIN, and without one it would be a Graceful close in disguise. Also AwaitPeer, which is Passive once the FIN is there.
/// </remarks>
internal static class CloseMatrix
{
    // The account: the method that ended it, who was first, whose TIME_WAIT.
    private static readonly CloseOutcome PassiveTheirs = new(Passive, PeerFirst: true, TimeWaitIsOurs: false);
    private static readonly CloseOutcome GoodbyeTheirs = new(Goodbye, PeerFirst: true, TimeWaitIsOurs: false);
    private static readonly CloseOutcome GracefulOurs = new(Graceful, PeerFirst: false, TimeWaitIsOurs: true);
    private static readonly CloseOutcome GracefulTheirs = new(Graceful, PeerFirst: true, TimeWaitIsOurs: false);
    private static readonly CloseOutcome GracefulNobodys = new(Graceful, PeerFirst: false, TimeWaitIsOurs: false);
    private static readonly CloseOutcome QuietNobodys = new(Quiet, PeerFirst: false, TimeWaitIsOurs: false);
    private static readonly CloseOutcome AbortNobodys = new(Abort, PeerFirst: false, TimeWaitIsOurs: false);

    public static IReadOnlyList<MatrixRow> Rows { get; } =
    [
        //  condition        method    chosen  TIME_WAIT  port taken   the peer saw  lost   our account
        new(Clean,           Goodbye,  Policy, Server,    RoundTrip,   Farewell,     false, GoodbyeTheirs),
        new(Clean,           Graceful, Policy, Client,    Minute,      End,          false, GracefulOurs),
        new(Clean,           Quiet,    Policy, Nobody,    RoundTrip,   End,          false, QuietNobodys),
        new(Clean,           Abort,    Policy, Nobody,    AtOnce,      Reset,        false, AbortNobodys),

        new(UnreadInbound,   Goodbye,  Policy, Server,    RoundTrip,   Farewell,     false, GoodbyeTheirs),
        new(UnreadInbound,   Graceful, Policy, Client,    Minute,      End,          false, GracefulOurs),
        new(UnreadInbound,   Quiet,    Policy, Nobody,    RoundTrip,   End,          false, QuietNobodys),
        new(UnreadInbound,   Abort,    Policy, Nobody,    AtOnce,      Reset,        false, AbortNobodys),

        new(UnsentOutbound,  Goodbye,  Policy, Server,    RoundTrip,   Farewell,     false, GoodbyeTheirs),
        new(UnsentOutbound,  Graceful, Policy, Client,    Minute,      End,          false, GracefulOurs),
        new(UnsentOutbound,  Quiet,    Policy, Nobody,    RoundTrip,   End,          false, QuietNobodys),
        new(UnsentOutbound,  Abort,    Policy, Nobody,    AtOnce,      Reset,        true,  AbortNobodys),

        new(PeerClosed,      Passive,  Policy, Server,    RoundTrip,   Nothing,      false, PassiveTheirs),
        new(PeerClosed,      Goodbye,  Hand,   Nobody,    RoundTrip,   Nothing,      false, GoodbyeTheirs),
        new(PeerClosed,      Graceful, Hand,   Server,    RoundTrip,   Nothing,      false, GracefulTheirs),
        new(PeerClosed,      Quiet,    Hand,   Server,    RoundTrip,   Nothing,      false, QuietNobodys),
        new(PeerClosed,      Abort,    Hand,   Nobody,    AtOnce,      Nothing,      false, AbortNobodys),

        new(PeerHalfClosed,  Passive,  Policy, Server,    RoundTrip,   BareEnd,      false, PassiveTheirs),
        new(PeerHalfClosed,  Goodbye,  Hand,   Server,    RoundTrip,   Farewell,     false, GoodbyeTheirs),
        new(PeerHalfClosed,  Graceful, Hand,   Server,    RoundTrip,   End,          false, GracefulTheirs),
        new(PeerHalfClosed,  Quiet,    Hand,   Server,    RoundTrip,   End,          false, QuietNobodys),
        new(PeerHalfClosed,  Abort,    Hand,   Nobody,    AtOnce,      Reset,        true,  AbortNobodys),

        new(PeerNeverCloses, Goodbye,  Policy, Nobody,    RoundTrip,   End,          false, QuietNobodys),
        new(PeerNeverCloses, Graceful, Policy, Nobody,    RoundTrip,   End,          false, GracefulNobodys),
        new(PeerNeverCloses, Quiet,    Policy, Nobody,    RoundTrip,   End,          false, QuietNobodys),
        new(PeerNeverCloses, Abort,    Policy, Nobody,    AtOnce,      Reset,        false, AbortNobodys),

        new(PeerVanished,    Goodbye,  Policy, Nobody,    UserTimeout, Nothing,      false, QuietNobodys),
        new(PeerVanished,    Graceful, Policy, Nobody,    UserTimeout, Nothing,      false, GracefulNobodys),
        new(PeerVanished,    Quiet,    Policy, Nobody,    UserTimeout, Nothing,      false, QuietNobodys),
        new(PeerVanished,    Abort,    Policy, Nobody,    AtOnce,      Nothing,      false, AbortNobodys),
    ];

    /// <summary>The two places where TLS makes a difference.</summary>
    public static IEnumerable<MatrixRow> For(bool tls) => Rows.Select(row => row switch
    {
        // The close_notify in front of our FIN finds a closed socket: its RST ends both sides.
        { Condition: PeerClosed, Method: Graceful or Quiet } when tls => row with { TimeWait = Nobody },

        // A plain connection has one way to end.
        { Peer: BareEnd } when !tls => row with { Peer = End },
        _ => row,
    });
}
