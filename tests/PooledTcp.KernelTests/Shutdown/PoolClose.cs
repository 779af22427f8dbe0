using System.Diagnostics;
using PooledTcp.Configuration;
using PooledTcp.Connections;
using PooledTcp.Ports;
using PooledTcp.Shutdown;
using PooledTcp.Tests.Shared;

namespace PooledTcp.KernelTests.Shutdown;

/// <summary>A close as the pool starts it, of a connection without a pool.</summary>
internal sealed class PoolClose
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly TaskCompletionSource<CloseOutcome> _closed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public PoolClose(Transport transport, PortLedger ledger, PortAccount account)
    {
        Transport = transport;
        Ledger = ledger;
        Account = account;
    }

    public Transport Transport { get; }

    public PortLedger Ledger { get; }

    public PortAccount Account { get; }

    public ClosesFirst ClosesFirst { get; init; }

    public GoodbyeBytes Goodbye { get; init; }

    public CloseReason Reason { get; init; } = CloseReason.IdleTimeout;

    /// <summary>Long enough that a busy machine does not decide who was in time.</summary>
    public TimeSpan GoodbyeTimeout { get; init; } = TimeSpan.FromSeconds(20);

    public TimeSpan DrainTimeout { get; init; } = TimeSpan.FromSeconds(20);

    /// <summary>None is left, and somebody waits for one: what makes a close Quiet at once.</summary>
    public bool PortIsWanted { get; init; }

    public TimeSpan VanishedAfter { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>On the closing thread, before anything else runs.</summary>
    public Action? OnClosed { get; init; }

    public CloseRun Start()
    {
        var context = new CloseContext
        {
            Settings = new ShutdownSettings
            {
                ClosesFirst = ClosesFirst,
                Goodbye = Goodbye,
                GoodbyeTimeout = GoodbyeTimeout,
                ServerCloseTimeout = TimeSpan.FromSeconds(75),
                DrainTimeout = DrainTimeout,
                AllowQuietClose = true,
                AllowAbort = false,
            },
            Goodbye = null,
            Tokens = new PortTokens(Ledger, Account, limit: 10_000, TimeProvider.System),
            Lane = new ClosingLane(1),
            Time = TimeProvider.System,
            Telemetry = UnseenPool.Telemetry,
            VanishedAfter = VanishedAfter,
            PeerCloseTimeout = TimeSpan.FromSeconds(75),
            PortsExhausted = PortIsWanted,
            HasWaiters = PortIsWanted,
        };
        Ledger.Closing(Account);
        var connection = new TcpConnection(1, "kernel", Transport, new NoOwner(), 0, 1, new PoolClock(TimeProvider.System));
        var run = new CloseRun(connection, Reason, context, (_, outcome) =>
        {
            OnClosed?.Invoke();
            _closed.SetResult(outcome);
        });
        run.Execute();
        return run;
    }

    public Task<CloseOutcome> WaitAsync() => _closed.Task.WaitAsync(Patience);

    private sealed class NoOwner : ILeaseOwner
    {
        public void Return(TcpConnection connection, LeaseHandle handle, long version, bool discard) => throw new UnreachableException();
    }
}
