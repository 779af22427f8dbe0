using System.Net;
using PooledTcp.Configuration;
using PooledTcp.Connections;
using PooledTcp.Ports;
using PooledTcp.Shutdown;
using PooledTcp.Tests.Connections;
using PooledTcp.Tests.Fakes;
using PooledTcp.Tests.Shared;
using Xunit;

namespace PooledTcp.Tests.Shutdown;

/// <summary>Closes on a fake socket, a fake clock and a real account, started by the test on its own stack.</summary>
internal sealed class CloseRig : ILeaseOwner
{
    public static readonly GoodbyeBytes Farewell = new("QUIT"u8.ToArray());

    /// <summary><see cref="KernelPortSettings.TimeWaitHold"/> on Linux.</summary>
    public static readonly TimeSpan TimeWaitHold = TimeSpan.FromSeconds(65.2);

    public CloseRig(int tokens = 1, int places = 8)
    {
        Limit = tokens;
        Lane = new ClosingLane(places);
        Ledger = new PortLedger(Time, TimeWaitHold);
        Account = Ledger.Connecting(PortTuple.To(new IPEndPoint(IPAddress.Parse("10.0.0.1"), 7000)), new PortRange(40000, 40063), 64);
        Ledger.Connected(Account);
    }

    public FakeTime Time { get; } = new();

    public ClosingLane Lane { get; }

    public PortLedger Ledger { get; }

    /// <summary>One connection besides those that are closed keeps it in the ledger.</summary>
    public PortAccount Account { get; }

    public int Limit { get; }

    public PortUse Use => Ledger.Use(Account);

    public ShutdownSettings Settings { get; set; } = TestSettings.Shutdown;

    public Func<object?, ReadOnlyMemory<byte>>? Goodbye { get; set; }

    public bool PortsWanted { get; set; }

    public PortTokens Tokens => new(Ledger, Account, Limit, Time);

    public void Return(TcpConnection connection, LeaseHandle handle, long version, bool discard) => throw new NotSupportedException();

    /// <summary>A close, ready to start.</summary>
    public Close New(FakeTransport transport, CloseReason reason = CloseReason.IdleTimeout)
    {
        Ledger.Connecting(Account.Tuple, Account.Range, Account.Usable);
        Ledger.Connected(Account);
        Ledger.Closing(Account);
        transport.Account = Account;
        TcpConnection connection = new(1, "fake", transport, this, generation: 0, lifetimeFactor: 1, new PoolClock(Time));
        return new Close(transport, connection, reason, new CloseContext
        {
            Settings = Settings,
            Goodbye = Goodbye,
            Tokens = Tokens,
            Lane = Lane,
            Time = Time,
            Telemetry = UnseenPool.Telemetry,
            VanishedAfter = TimeSpan.FromSeconds(35),
            PeerCloseTimeout = Settings.ServerCloseTimeout,
            PortsExhausted = PortsWanted,
            HasWaiters = PortsWanted,
        });
    }

    public Close Start(FakeTransport transport, CloseReason reason = CloseReason.IdleTimeout)
    {
        Close close = New(transport, reason);
        close.Run.Execute();
        return close;
    }

    /// <summary>The books are even: no port of a closed connection is held, and no token is out.</summary>
    public void AssertSettled(int owed = 0)
    {
        if (Use.Closing > 0)
        {
            // A farewell was sent and not answered: the kernel is asked a little later.
            Time.Advance(CloseRun.LongestSettling);
            SpinWait.SpinUntil(() => Use.Closing == 0, PoolHarness.Hang);
        }

        Assert.Equal(new PortUse(Connecting: 0, Live: 1, Closing: 0, Promised: 0, Owed: owed), Use);
        Assert.Equal(0, Time.ArmedTimers);
    }
}

/// <summary>One close and how it ended.</summary>
internal sealed class Close
{
    private readonly TaskCompletionSource<CloseOutcome> _done = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _ends;

    public Close(FakeTransport transport, TcpConnection connection, CloseReason reason, CloseContext context)
    {
        Transport = transport;
        Connection = connection;
        Run = new CloseRun(connection, reason, context, (_, outcome) =>
        {
            Interlocked.Increment(ref _ends);
            _done.TrySetResult(outcome);
        });
    }

    public FakeTransport Transport { get; }

    public TcpConnection Connection { get; }

    public CloseRun Run { get; }

    public bool IsDone => _done.Task.IsCompleted;

    public async Task<CloseOutcome> EndAsync()
    {
        CloseOutcome outcome = await _done.Task.WaitAsync(PoolHarness.Hang, TestContext.Current.CancellationToken);
        Assert.Equal(1, _ends);
        Assert.Equal(1, Transport.Closings);
        return outcome;
    }

    public Task ReachesAsync(string moves) =>
        PoolHarness.UntilAsync(() => string.Equals(Transport.Moves, moves, StringComparison.Ordinal), () => Transport.Moves);
}
