using PooledTcp.Configuration;
using PooledTcp.Connections;
using PooledTcp.Telemetry;
using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Telemetry;

/// <summary>A logger that throws costs log lines, and nothing else: the books are in order, and nobody's call fails.</summary>
public sealed class SafeLoggerTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Clear_closes_every_idle_connection(bool isEnabledThrows)
    {
        await using Harness client = new();
        client.Logger.IsEnabledThrows = isEnabledThrows;
        TcpLease[] leases = [await client.RentAsync(), await client.RentAsync(), await client.RentAsync()];
        Array.ForEach(leases, PoolHarness.Return);
        client.Pool.Clear();

        // One line: the others came within its second.
        await PoolHarness.UntilAsync(() => client.Pool.GetSnapshot().Closed == 3 && client.CountOf("pooled_tcp.connection.closed") == (isEnabledThrows ? 0 : 1));
        Assert.Equal(0, client.Connector.Live);
    }

    [Fact]
    public async Task A_failed_reset_gives_its_place_back()
    {
        await using Harness client = new(new() { Reset = static (_, _) => throw new IOException("no") }, static o => o.MaxConnections = 1);
        PoolHarness.Return(await client.RentAsync());

        // The limit is 1: it comes only if the place of the first was given back.
        TcpLease next = await client.RentAsync();
        Assert.False(next.IsReused);
        Assert.Equal(1, client.CountOf("pooled_tcp.connection.reset_failed"));
        Assert.Equal(1, client.Connector.Live);
    }

    [Fact]
    public async Task A_reset_that_takes_too_long_is_reported_with_the_name_of_the_setting()
    {
        TaskCompletionSource running = new(TaskCreationOptions.RunContinuationsAsynchronously);
        TaskCompletionSource never = new();
        await using Harness client = new(
            new()
            {
                Reset = async (_, _) =>
                {
                    running.SetResult();
                    await never.Task;
                },
            },
            static o => o.ConnectTimeout = TimeSpan.FromSeconds(3));
        PoolHarness.Return(await client.RentAsync());
        await running.Task.WaitAsync(PoolHarness.Hang);
        client.Time.Advance(TimeSpan.FromSeconds(3));
        await PoolHarness.UntilAsync(() => client.CountOf("pooled_tcp.connection.reset_failed") == 1);
        Exception? e = client.Logger.Entries.Single(static e => e.Event == "pooled_tcp.connection.reset_failed").Exception;
        Assert.IsType<TimeoutException>(e);
        Assert.Contains("ConnectTimeout (3 s)", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_dial_that_Clear_overtook_gives_its_permit_back()
    {
        Harness? harness = null;
        int handshakes = 0;
        EndpointHooks hooks = new()
        {
            Handshake = (_, _) =>
            {
                if (Interlocked.Increment(ref handshakes) == 1)
                {
                    harness!.Pool.Clear();
                }

                return ValueTask.FromResult<object?>(null);
            },
        };
        await using Harness client = new(hooks, static o => o.MaxConnecting = 1);
        harness = client;
        TcpLease lease = await client.RentAsync();

        // The overtaken one closes on the thread pool, as in production, so perhaps a moment later.
        await PoolHarness.UntilAsync(() => client.Connector is { Opened: 2, Live: 1 });
        Assert.Equal(0, client.Pool.GetSnapshot().Connecting);
        PoolHarness.Return(lease);
    }

    [Fact]
    public async Task A_failed_dial_is_reported_and_gives_its_permit_back()
    {
        await using Harness client = new(configure: static o => o.MaxConnecting = 1);
        client.Connector.Automatic = static _ => throw new IOException("no route");
        await Assert.ThrowsAsync<EndpointUnavailableException>(client.RentAsync);
        client.Connector.Automatic = static _ => new FakeTransport();
        PoolHarness.Return(await client.RentAsync());
        Assert.Equal(1, client.Pool.GetSnapshot().Idle);
    }

    [Fact]
    public async Task Maintenance_goes_on_and_the_client_ends()
    {
        await using Harness client = new();
        for (int round = 1; round <= 2; round++)
        {
            TcpLease[] leases = [await client.RentAsync(), await client.RentAsync()];
            Array.ForEach(leases, PoolHarness.Return);
            await client.StepUntilAsync(() => client.Connector.Live == 0);
            await PoolHarness.UntilAsync(() => client.Pool.GetSnapshot() is { Closing: 0, Idle: 0 } now && now.Closed == 2 * round);
        }

        Assert.Equal(0, client.CountOf("pooled_tcp.maintenance.failed"));
    }

    [Fact]
    public async Task Disposing_a_lease_never_throws()
    {
        await using Harness client = new();
        TcpLease abandoned = await client.RentAsync();
        await abandoned.DisposeAsync();
        await PoolHarness.UntilAsync(() => client.CountOf("pooled_tcp.connection.closed") == 1);
        client.Time.Advance(ThrottledLogger.Interval);
        (await client.RentAsync()).Discard();
        await PoolHarness.UntilAsync(() => client.CountOf("pooled_tcp.connection.closed") == 2);
        Assert.Equal(0, client.Pool.GetSnapshot().Used);
    }

    private sealed class Harness : IAsyncDisposable
    {
        public Harness(EndpointHooks? hooks = null, Action<TcpEndpointOptions>? configure = null)
        {
            PooledTcpOptions options = new();
            options.AddEndpoint("cache", endpoint =>
            {
                endpoint.Address = "10.0.0.1:7000";
                configure?.Invoke(endpoint);
            });
            Dictionary<string, EndpointHooks> all = new() { ["cache"] = hooks ?? EndpointHooks.None };
            Client = new PooledTcpClient(SettingsFactory.Create(options), all, Logger, null, Time, (_, _) => Connector);
        }

        public FaultyLogger Logger { get; } = new();

        public FakeTime Time { get; } = new();

        public FakeConnector Connector { get; } = new() { Automatic = static _ => new FakeTransport() };

        public PooledTcpClient Client { get; }

        public TcpPool Pool => Client.GetPool("cache");

        public Task<TcpLease> RentAsync() => Pool.RentAsync(CancellationToken.None).AsTask().WaitAsync(PoolHarness.Hang);

        public int CountOf(string name) => Logger.Entries.Count(e => e.Event == name);

        public Task StepUntilAsync(Func<bool> condition) => PoolHarness.UntilAsync(() =>
        {
            if (!condition())
            {
                Time.Advance(TimeSpan.FromSeconds(1));
            }

            return condition();
        });

        public ValueTask DisposeAsync() => Client.DisposeAsync();
    }
}
