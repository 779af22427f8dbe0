using PooledTcp.Configuration;
using PooledTcp.Connections;
using PooledTcp.Ports;
using PooledTcp.Telemetry;

namespace PooledTcp.Pooling;

/// <summary>
/// Local ports, as far as they concern who waits: a dial that finds none fails nobody. Its waiter goes on waiting for a
/// returned connection or a freed port, within its deadline.
/// </summary>
internal sealed partial class ConnectionPool
{
    /// <summary>Timers may fire a little early. A dial that comes before the ledger's own mark has run out is refused, and held off anew.</summary>
    public static readonly TimeSpan HoldMargin = TimeSpan.FromMilliseconds(10);

    /// <summary>From here on ports run short. Below what counts as exhausted, so that there is time to do something.</summary>
    public const double PressureShare = 0.75;

    /// <summary>Below it they suffice again; far enough below not to flap with each TIME-WAIT that runs out.</summary>
    public const double ReliefShare = 0.6;

    // Under the gate only.
    private readonly HashSet<PortAccount> _accounts = [];
    private int _pruneAccountsAt = 16;
    private NoLocalPortException? _portsExhausted;
    private bool _portsHeldOff;
    private TimeSpan? _portFreedAt;
    private ITimer? _portsTimer;

    // Maintenance only.
    private bool _portsArePressed;

    private void DialFoundNoPort(Dial dial, NoLocalPortException exception)
    {
        bool isNew;
        Dial? dials;
        BreakerChange breaker;
        List<WarmUp>? warm;
        TimeSpan now = Services.Clock.Read();
        lock (_gate)
        {
            breaker = Judge(dial, exception, now);

            // A rent waits for a port until its deadline; a warm-up has none.
            warm = TakeWarmUps();
            isNew = _portsExhausted is null;
            _portsExhausted = exception;
            _portsHeldOff = _state != PoolState.Closed;
            _topUpFailed = true;
            _dialsFailed++;
            EndDial(dial);
            _cap.GiveBack(_share);
            RefreshDetour();

            // Nothing is dialed now; but closing connections that hold ports may be pre-empted.
            dials = PlanDials();
            CompleteDrainIfEmpty();
        }

        _telemetry.FoundNoPort();
        Launch(dials);
        HoldOffDials();
        AwaitServer(now, mayHaveMoved: true);
        CloseForRetry();
        Tell(breaker);
        Services.Maintenance.Request(this);
        warm?.ForEach(w => w.Done.TrySetException(NoPortError("for a connection to warm up", exception)));
        if (isNew)
        {
            PoolLog.PortsExhausted(Log, Name, exception.Message);
        }
    }

    /// <summary>
    /// No hot retry: a failing connect costs 3 ms of CPU (tcp-facts section 3). The next dial comes after a second, or when
    /// one of our own connections has given its port back; if one did just now, and the dial came before the peer's ACK, soon.
    /// </summary>
    private void HoldOffDials()
    {
        TimeSpan now = Services.Clock.Read();
        TimeSpan hold;
        lock (_gate)
        {
            if (_state == PoolState.Closed)
            {
                return;
            }

            hold = now - _portFreedAt < PortLedger.ReturnHold ? PortLedger.ReturnHold : PortLedger.FailureHold;
        }

        // Outside the gate: a fake TimeProvider runs what is due on the stack of who makes a timer.
        ITimer timer = Services.Clock.CreateTimer(static pool => ((ConnectionPool)pool!).DialAgain(), this, hold + HoldMargin);
        Interlocked.Exchange(ref _portsTimer, timer)?.Dispose();
        lock (_gate)
        {
            if (_state != PoolState.Closed)
            {
                return;
            }
        }

        // The pool closed between, and found no timer to end.
        Interlocked.Exchange(ref _portsTimer, null)?.Dispose();
    }

    /// <summary>A connection that never came to the pool: closed quietly, and out of the books.</summary>
    public void GiveUp(Transport transport, PoolSettings settings)
    {
        GivenUp.Close(transport.BeginClosing(), transport.PortAccount, Services.Ports.Ledger, settings);
        transport.Close();
    }

    private void DialAgain()
    {
        Dial? dials;
        lock (_gate)
        {
            _portsHeldOff = false;
            dials = PlanDials();
            if (_connecting == 0)
            {
                // Nobody asks whether it is over. Left standing, it would blame the ports for what the next waiters lack.
                _portsExhausted = null;
            }
        }

        Launch(dials);
    }

    private void NoteAccount(PortAccount? account)
    {
        if (account is null || !_accounts.Add(account) || _accounts.Count < _pruneAccountsAt)
        {
            return;
        }

        // An account that fell out of use comes back as another object, so without snapshots they would pile up.
        ForgetUnusedAccounts();
        _pruneAccountsAt = Math.Max(16, 2 * _accounts.Count);
    }

    private void ForgetUnusedAccounts() => _accounts.RemoveWhere(account => Services.Ports.Ledger.Use(account) == default);

    /// <summary>
    /// Tells when the fullest tuple of the pool comes under pressure, and when it is over. At the sweep: the census of who
    /// else holds ports was just taken there, and a share of thousands of ports changes in seconds.
    /// </summary>
    private void WatchPortPressure()
    {
        Fullest fullest;
        lock (_gate)
        {
            fullest = FindFullest();
        }

        if (!_portsArePressed && fullest.Account is { } account && fullest.Share >= PressureShare)
        {
            _portsArePressed = true;
            PoolLog.PortPressure(Log, Name, fullest.Used, fullest.Budget, account.Tuple, fullest.Ours.Owed);
        }
        else if (_portsArePressed && fullest.Share < ReliefShare)
        {
            _portsArePressed = false;
            PoolLog.PortsRelieved(Log, Name, fullest.Used, fullest.Budget);
        }
    }

    /// <summary>Under the gate: the account with the least room, ports of other processes included as far as they were counted.</summary>
    private Fullest FindFullest()
    {
        Fullest fullest = default;
        foreach (PortAccount account in _accounts)
        {
            fullest = FullerOf(fullest, account, Services.Ports.Ledger.Use(account));
        }

        return fullest;
    }

    private Fullest FullerOf(Fullest fullest, PortAccount account, PortUse ours)
    {
        Fullest candidate = new(account, ours, ours.Ports + PortWatch.OthersOf(account, ours), _settings.Ports.BudgetOf(account.Usable));
        return candidate.Share > fullest.Share ? candidate : fullest;
    }

    /// <summary>
    /// Under the gate: ports this pool's tuples hold, how many they may reckon with, the TIME-WAITs among them, how many of
    /// those there may be, and the share that the fullest has taken.
    /// </summary>
    private (int Used, int Budget, int TimeWaitOwed, int TimeWaitLimit, double Pressure) CountPorts()
    {
        int used = 0;
        int owed = 0;
        int budget = 0;
        int limit = 0;
        Fullest fullest = default;
        ForgetUnusedAccounts();
        foreach (PortAccount account in _accounts)
        {
            PortUse use = Services.Ports.Ledger.Use(account);
            used += use.Ports;
            owed += use.Owed;
            budget += _settings.Ports.BudgetOf(account.Usable);
            limit += TokensOf(_settings, account.Usable);
            fullest = FullerOf(fullest, account, use);
        }

        return (used, budget, owed, limit, fullest.Share);
    }

    private readonly record struct Fullest(PortAccount? Account, PortUse Ours, int Used, int Budget)
    {
        public double Share => Budget > 0 ? (double)Used / Budget : 0;
    }
}
