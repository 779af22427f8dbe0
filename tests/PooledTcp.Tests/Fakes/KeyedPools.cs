using Microsoft.Extensions.Logging.Abstractions;
using PooledTcp.Configuration;
using PooledTcp.Connections;
using PooledTcp.Pooling;
using PooledTcp.Ports;
using PooledTcp.Shutdown;

namespace PooledTcp.Tests.Fakes;

/// <summary>Several pools under one MaxTotalConnections, on fake connections and fake time. Dials succeed by themselves.</summary>
internal sealed class KeyedPools : IAsyncDisposable
{
    private readonly Maintenance _maintenance;

    public KeyedPools(int max, int keys, PoolSettings? settings = null, bool isAdHoc = false, EndpointHooks? firstHooks = null)
    {
        PoolClock clock = new(Time);
        Cap = new SharedCap(max, clock);
        _maintenance = new Maintenance(clock, static _ => { }, static _ => { });
        _maintenance.DisposeAsync().AsTask().Wait(PoolHarness.Hang);
        Services = new PoolServices
        {
            Clock = clock,
            Logger = NullLogger.Instance,
            SharedLogger = NullLogger.Instance,
            Maintenance = _maintenance,
            NextRandom = static () => 0,
            Ports = new LocalPorts(Time, PortAbilities.None),
            Lane = new ClosingLane(256),
            Cap = Cap,

            // On the spot: what a test closes is closed when the call returns.
            Schedule = static work => work.Execute(),
            IdleSlots = 1,
        };
        Keys = [.. Enumerable.Range(0, keys).Select(i => new Key($"k{i}", settings ?? LongSettings(), Services, Sockets, isAdHoc, i == 0 ? firstHooks : null))];
    }

    /// <summary>Turns pass by the million while other threads are slow: no timeout but those a test asks for.</summary>
    public static PoolSettings LongSettings(int max = 10, int minIdle = 0) =>
        PoolHarness.Settings(max: max, minIdle: minIdle, failuresToOpen: 1000, rent: Timeout.InfiniteTimeSpan, connect: Timeout.InfiniteTimeSpan);

    public FakeTime Time { get; } = new();

    public CountedSockets Sockets { get; } = new();

    public PoolServices Services { get; }

    public SharedCap Cap { get; }

    public Key[] Keys { get; }

    public Key this[int index] => Keys[index];

    /// <summary>A turn is over, and what was idle has been looked at: whoever queues now lives on returns.</summary>
    public async Task PassTurnAsync()
    {
        Time.Advance(SharedCap.Turn);
        await UntilAsync(() => !Cap.IsLooking);
    }

    /// <summary>Other threads come to it, and turns pass meanwhile.</summary>
    public Task WhileTurnsPassAsync(Func<bool> condition) => UntilAsync(
        () =>
        {
            if (condition())
            {
                return true;
            }

            Time.Advance(SharedCap.Turn);
            return false;
        });

    public async Task<TcpLease> WhileTurnsPassAsync(Task<TcpLease> rent)
    {
        await WhileTurnsPassAsync(() => rent.IsCompleted);
        return await rent;
    }

    public Task UntilAsync(Func<bool> condition) => PoolHarness.UntilAsync(condition, Describe);

    public string Describe() => $"{Cap.Places}, sockets {Sockets.Now}: {string.Join("; ", Keys.Select(static key => key.Describe()))}";

    public async ValueTask DisposeAsync()
    {
        foreach (Key key in Keys)
        {
            key.Core.Close();
        }

        await _maintenance.DisposeAsync();
    }

    internal sealed class Key
    {
        public Key(string name, PoolSettings settings, PoolServices services, CountedSockets sockets, bool isAdHoc, EndpointHooks? hooks)
        {
            Connector.Automatic = static _ => new FakeTransport();
            Core = new ConnectionPool(name, isAdHoc, settings, sockets.Of(Connector), hooks ?? EndpointHooks.None, services);
            Pool = new TcpPool(Core.Warm);
        }

        public FakeConnector Connector { get; } = new();

        public ConnectionPool Core { get; }

        public TcpPool Pool { get; }

        public TcpPoolSnapshot Now => Pool.GetSnapshot();

        public string Describe()
        {
            TcpPoolSnapshot now = Now;
            return $"{now.Name} idle {now.Idle} used {now.Used} connecting {now.Connecting} closing {now.Closing} waiting {now.Waiting} created {now.Created} "
                + $"failed {now.DialsFailed} closed {string.Join(' ', now.ClosedByReason)}";
        }

        public int SharedCapCloses => (int)Now.ClosedByReason.GetValueOrDefault("shared_cap");

        public Task<TcpLease> RentAsync(CancellationToken cancellationToken = default) =>
            Pool.RentAsync(cancellationToken).AsTask().WaitAsync(PoolHarness.Hang, CancellationToken.None);

        /// <summary>Opens so many and puts them into idle.</summary>
        public async Task FillAsync(int count)
        {
            TcpLease[] leases = new TcpLease[count];
            for (int i = 0; i < count; i++)
            {
                leases[i] = await RentAsync();
            }

            Array.ForEach(leases, PoolHarness.Return);
        }
    }
}
