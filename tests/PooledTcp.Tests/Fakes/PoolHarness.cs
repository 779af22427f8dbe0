using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using PooledTcp.Configuration;
using PooledTcp.Connections;
using PooledTcp.Pooling;
using PooledTcp.Ports;
using PooledTcp.Shutdown;
using PooledTcp.Telemetry;
using PooledTcp.Tests.Connections;
using Xunit;

namespace PooledTcp.Tests.Fakes;

/// <summary>
/// One pool on fake connections and fake time. Its background maintenance is off: a test calls <see cref="Maintain"/>
/// where the moment matters, so nothing happens that the test did not do.
/// </summary>
internal sealed class PoolHarness : IAsyncDisposable
{
    /// <summary>After this a test that waits for a signal has failed. Real time, and only ever reached by a defect.</summary>
    public static readonly TimeSpan Hang = TimeSpan.FromSeconds(30);

    private readonly Maintenance _maintenance;

    // A test that rents and looks elsewhere has not lost its lease: a collection must not end it.
    private readonly ConcurrentQueue<Task<TcpLease>> _rents = new();

    public PoolHarness(PoolSettings? settings = null, EndpointHooks? hooks = null, bool isAdHoc = false, bool background = false, int idleSlots = 1, double random = 0, FakeResolver? resolver = null, ILogger? logger = null, ClientTelemetry? telemetry = null)
    {
        PoolClock clock = new(Time);
        _maintenance = new Maintenance(clock, Retired.Add, MaintenanceErrors.Add);
        if (!background)
        {
            _maintenance.DisposeAsync().AsTask().Wait(Hang);
        }

        Services = new PoolServices
        {
            Clock = clock,
            Logger = logger ?? NullLogger.Instance,
            SharedLogger = new ThrottledLogger(logger ?? NullLogger.Instance, Time),
            Maintenance = _maintenance,
            NextRandom = () => random,
            Resolve = resolver is null ? static (host, _) => throw new InvalidOperationException($"{host} was looked up") : resolver.ResolveAsync,
            Ports = new LocalPorts(Time, PortAbilities.None),
            Lane = new ClosingLane(256),
            PeerWatch = PeerWatch,
            Telemetry = telemetry ?? new ClientTelemetry(PoolInstruments.For(factory: null), TelemetrySettings.From(new TcpTelemetryOptions())),

            Cap = new SharedCap(int.MaxValue, clock),

            // On the spot: what a test closes is closed when the call returns.
            Schedule = work =>
            {
                OnSchedule?.Invoke();
                work.Execute();
            },
            IdleSlots = idleSlots,
        };
        Services.Telemetry.Pools = () => Core is { } core ? [core] : [];
        Core = new ConnectionPool("fake", isAdHoc, settings ?? Settings(), Connector, hooks ?? EndpointHooks.None, Services);
        Pool = new TcpPool(Core.Warm);
    }

    public FakeTime Time { get; } = new();

    /// <summary>Leases that the test drops are lost, as they are outside of tests.</summary>
    public bool LosesLeases { get; set; }

    /// <summary>Runs before each close.</summary>
    public Action? OnSchedule { get; set; }

    public FakePeerWatch PeerWatch { get; } = new();

    public FakeConnector Connector { get; } = new();

    public PoolServices Services { get; }

    public ConnectionPool Core { get; }

    public TcpPool Pool { get; }

    public List<ConnectionPool> Retired { get; } = [];

    public List<Exception> MaintenanceErrors { get; } = [];

    public TcpPoolSnapshot Now => Pool.GetSnapshot();

    public static PoolSettings Settings(
        int max = 4, int connecting = 4, int waiters = 1000, int minIdle = 0, double jitter = 0, bool oneWay = false,
        int maxUses = int.MaxValue, int failuresToOpen = 5, TimeSpan? rent = null, TimeSpan? connect = null, TimeSpan? idle = null, TimeSpan? lifetime = null,
        HealthSettings? health = null) =>
        TestSettings.For("10.0.0.1", 7000) with
        {
            MaxConnections = max,
            MaxConnecting = connecting,
            MaxWaiters = waiters,
            MinIdleConnections = minIdle,
            LifetimeJitter = jitter,
            AllowOneWay = oneWay,
            MaxUses = maxUses,
            RentTimeout = rent ?? TimeSpan.FromSeconds(5),
            ConnectTimeout = connect ?? TimeSpan.FromSeconds(3),
            IdleTimeout = idle ?? TimeSpan.FromSeconds(90),
            Lifetime = lifetime ?? TimeSpan.FromMinutes(30),
            Health = health ?? TestSettings.Health with { FailuresToOpen = failuresToOpen },
        };

    /// <summary>A pool whose dials succeed by themselves.</summary>
    public static PoolHarness Automatic(PoolSettings? settings = null, EndpointHooks? hooks = null, int idleSlots = 1, bool isAdHoc = false, bool background = false, double random = 0, ILogger? logger = null)
    {
        PoolHarness harness = new(settings, hooks, isAdHoc, background, idleSlots, random, logger: logger);
        harness.Connector.Automatic = static _ => new FakeTransport();
        return harness;
    }

    /// <summary>A pool that is cleared when its first handshake is as good as over, so that this dial may succeed all the same.</summary>
    public static PoolHarness ClearedInTheFirstHandshake()
    {
        PoolHarness? harness = null;
        int dials = 0;
        harness = Automatic(hooks: new()
        {
            Handshake = (_, _) =>
            {
                if (Interlocked.Increment(ref dials) == 1)
                {
                    harness!.Pool.Clear();
                }

                return ValueTask.FromResult<object?>(null);
            },
        });
        return harness;
    }

    public Task<TcpLease> RentAsync(CancellationToken cancellationToken = default) =>
        Hold(Pool.RentAsync(cancellationToken).AsTask().WaitAsync(Hang, CancellationToken.None));

    public Task<TcpLease> RentAsync(TimeSpan timeout) =>
        Hold(Pool.RentAsync(timeout, CancellationToken.None).AsTask().WaitAsync(Hang, CancellationToken.None));

    /// <summary>A lease on a connection that the test dialed itself.</summary>
    public async Task<(TcpLease Lease, FakeTransport Transport)> DialAsync(FakeTransport? transport = null)
    {
        Task<TcpLease> rent = RentAsync();
        transport = (await Connector.NextAsync()).Open(transport);
        return (await rent, transport);
    }

    /// <summary>Puts <paramref name="count"/> connections into idle, the last one returned last. Needs <see cref="Automatic"/>.</summary>
    public async Task<long[]> FillAsync(int count)
    {
        TcpLease[] leases = new TcpLease[count];
        for (int i = 0; i < count; i++)
        {
            leases[i] = await RentAsync();
        }

        long[] ids = [.. leases.Select(static l => l.ConnectionId)];
        foreach (TcpLease lease in leases)
        {
            Return(lease);
        }

        return ids;
    }

    public static void Return(TcpLease lease)
    {
        lease.Complete();
        lease.Dispose();
    }

    public TimeSpan? Maintain() => Core.Maintain(Services.Clock.Read(), out _);

    /// <summary>Lets fake time pass in steps, with a look of maintenance after each, as its loop would.</summary>
    public void Pass(TimeSpan time, TimeSpan? step = null)
    {
        TimeSpan by = step ?? TimeSpan.FromSeconds(1);
        for (TimeSpan passed = TimeSpan.Zero; passed < time; passed += by)
        {
            Time.Advance(by);
            Maintain();
        }
    }

    /// <summary>
    /// Lets fake time pass until the pool dials, and no further: a dial begins on the thread pool, and were time to pass
    /// until it is seen there, a dial whose thread has to wait for its core would reach its connect timeout.
    /// </summary>
    /// <param name="step">What passes between two looks.</param>
    /// <param name="maintain">Maintenance looks after each step, as its loop would.</param>
    public async Task<FakeDial> NextDialAsync(TimeSpan step, bool maintain = false)
    {
        FakeDial? dial = null;
        await UntilAsync(() =>
        {
            if (Connector.TryNext(out dial))
            {
                return true;
            }

            if (Now.Connecting == 0)
            {
                Time.Advance(step);
                if (maintain)
                {
                    Maintain();
                }
            }

            return false;
        });
        return dial!;
    }

    /// <summary>Waits, without a clock, for something that other threads are about to do.</summary>
    public static async Task UntilAsync(Func<bool> condition, Func<string>? describe = null)
    {
        long start = TimeProvider.System.GetTimestamp();
        while (!condition())
        {
            if (TimeProvider.System.GetElapsedTime(start) > Hang)
            {
                Assert.Fail($"The awaited state never came. {describe?.Invoke()}");
            }

            await Task.Yield();
        }
    }

    public Task UntilAsync(Func<TcpPoolSnapshot, bool> condition) =>
        UntilAsync(() => condition(Now), () => $"Live {Connector.Live}, {Now} {string.Join(';', MaintenanceErrors)} running {Connector.Running} dials {Connector.Dials}");

    /// <summary>The counts name every live connection once. Only where nothing is on its way.</summary>
    public void AssertCounts(int? idle = null, int? used = null, int? connecting = null, int? waiting = null)
    {
        TcpPoolSnapshot now = Now;
        Assert.True(now.Idle >= 0 && now.Used >= 0 && now.Connecting >= 0 && now.Closing >= 0 && now.Waiting >= 0, now.ToString());
        Assert.Equal(Connector.Live + now.Connecting, now.Idle + now.Used + now.Connecting + now.Closing);
        Assert.Equal(now.Created - now.Closed, now.Idle + now.Used + now.Closing);
        Assert.Equal(idle ?? now.Idle, now.Idle);
        Assert.Equal(used ?? now.Used, now.Used);
        Assert.Equal(connecting ?? now.Connecting, now.Connecting);
        Assert.Equal(waiting ?? now.Waiting, now.Waiting);
    }

    /// <summary>The background comes to its end, so that numbers can be read one after the other.</summary>
    public ValueTask StopMaintenanceAsync() => _maintenance.DisposeAsync();

    /// <summary>An interrupted lease holds its place, but no socket, until it is returned.</summary>
    public void AssertAfterInterrupt(int used)
    {
        Assert.Equal(used, Now.Used);
        Assert.Equal(0, Now.Idle);
        Assert.Equal(0, Connector.Live);
    }

    public async ValueTask DisposeAsync()
    {
        Core.Close();
        await _maintenance.DisposeAsync();
    }

    private Task<TcpLease> Hold(Task<TcpLease> rent)
    {
        if (!LosesLeases)
        {
            _rents.Enqueue(rent);
        }

        return rent;
    }
}
