using System.Net;
using PooledTcp.Configuration;
using PooledTcp.Connections;
using PooledTcp.Ports;
using PooledTcp.Telemetry;
using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Telemetry;

/// <summary>What a client logs when much goes wrong at once: one line a second of each kind from each pool.</summary>
public sealed class LogStormTests
{
    private const string DialFailed = "pooled_tcp.connection.dial_failed";
    private const string Closed = "pooled_tcp.connection.closed";
    private readonly RecordingLogger _log = new();
    private readonly FakeTime _time = new();
    private int _failures;
    private int _seconds;

    [Fact]
    public async Task Dials_that_fail_by_the_hundred_are_a_line_a_second()
    {
        await using PooledTcpClient client = Client(static _ => throw new IOException("refused"));
        for (int second = 0; second < 3; second++)
        {
            await FailAsync(client.GetPool("cache"), 100);
            Step();
        }

        await SettleAsync(client.GetPool("cache"));
    }

    [Fact]
    public async Task Configured_pools_do_not_take_each_others_lines()
    {
        await using PooledTcpClient client = Client(static _ => throw new IOException("refused"));
        await FailAsync(client.GetPool("cache"), 5);
        await FailAsync(client.GetPool("other"), 5);
        await PoolHarness.UntilAsync(() => _log.Count(DialFailed) == 2);
        Assert.Equal(["cache", "other"], _log.All(DialFailed).Select(static line => line["Pool"]).Order());
    }

    [Fact]
    public async Task All_ad_hoc_pools_share_their_lines()
    {
        await using PooledTcpClient client = Client(static _ => throw new IOException("refused"));
        for (int host = 1; host <= 50; host++)
        {
            await FailAsync(client.GetPool(new IPEndPoint(new IPAddress([10, 0, 0, (byte)host]), 7)), 2);
        }

        Assert.InRange(_log.Count(DialFailed), 0, 1);
        await SettleAsync(client.GetPool(new IPEndPoint(IPAddress.Parse("10.0.0.99"), 7)));
    }

    [Fact]
    public async Task The_line_of_a_close_tells_reason_initiator_method_age_and_uses()
    {
        await using PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: 1, idle: Timeout.InfiniteTimeSpan), logger: _log);
        await pool.FillAsync(1);
        pool.Time.Advance(TimeSpan.FromSeconds(12.5));
        await pool.FillAsync(1);
        pool.Pool.Clear();
        RecordingLogger.Entry line = _log.Single(Closed);
        Assert.Equal(("cleared", "local", "graceful", 12.5, 2), (line["Reason"], line["Initiator"], line["Method"], line["AgeSeconds"], line["Uses"]));
        Assert.Contains("closed after 12.5 s and 2 uses: cleared, graceful, by the local: ", line.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Ports_under_pressure_are_told_once_and_so_is_their_relief()
    {
        const int Usable = 100;
        PoolSettings settings = PoolHarness.Settings(max: Usable, idle: Timeout.InfiniteTimeSpan) with { Ports = new PortPolicy { Budget = 40 } };
        await using PoolHarness pool = PoolHarness.Automatic(settings, logger: _log);
        PortAccount account = pool.Services.Ports.Ledger.Connecting(
            PortTuple.To(new IPEndPoint(IPAddress.Parse("10.0.0.1"), 7000)), new PortRange(40000, 40000 + Usable - 1), Usable);
        pool.Connector.Automatic = _ =>
        {
            pool.Services.Ports.Ledger.Connected(account);
            return new FakeTransport { Account = account };
        };
        List<TcpLease> leases = [];
        async Task HoldAsync(int count)
        {
            while (leases.Count < count)
            {
                // What the connector would note before it dials; the first was noted above.
                if (leases.Count > 0)
                {
                    pool.Services.Ports.Ledger.Connecting(account.Tuple, account.Range, account.Usable);
                }

                leases.Add(await pool.RentAsync());
            }

            while (leases.Count > count)
            {
                leases[^1].Discard();
                leases.RemoveAt(leases.Count - 1);
            }

            pool.Pass(TimeSpan.FromSeconds(10));
        }

        await HoldAsync(29);
        Assert.False(_log.Has("pooled_tcp.port.pressure"));

        await HoldAsync(30);
        RecordingLogger.Entry line = _log.Single("pooled_tcp.port.pressure");
        Assert.Equal((30, 40, "10.0.0.1:7000", 0), (line["Used"], line["Budget"], line["Tuple"]!.ToString(), line["TimeWait"]));
        Assert.Contains("Ports.SourceAddresses", line.Text, StringComparison.Ordinal);

        // In and out at the edge is no news.
        await HoldAsync(25);
        await HoldAsync(32);
        Assert.Equal(1, _log.Count("pooled_tcp.port.pressure"));
        Assert.False(_log.Has("pooled_tcp.port.relieved"));

        await HoldAsync(23);
        Assert.Equal((23, 40), (_log.Single("pooled_tcp.port.relieved")["Used"], _log.Single("pooled_tcp.port.relieved")["Budget"]));

        await HoldAsync(31);
        Assert.Equal(2, _log.Count("pooled_tcp.port.pressure"));
    }

    private async Task FailAsync(TcpPool pool, int times)
    {
        for (int i = 0; i < times; i++)
        {
            await Assert.ThrowsAsync<EndpointUnavailableException>(
                () => pool.RentAsync(CancellationToken.None).AsTask().WaitAsync(PoolHarness.Hang));
            _failures++;
        }
    }

    private void Step()
    {
        _time.Advance(ThrottledLogger.Interval);
        _seconds++;
    }

    /// <summary>
    /// A failure is logged after its caller has been told, so a line may come late, and in a later second: but one a second
    /// at most, and in the end every failure was written or counted, once.
    /// </summary>
    private async Task SettleAsync(TcpPool pool)
    {
        do
        {
            int before = _log.Count(DialFailed);
            Step();
            await FailAsync(pool, 1);
            await PoolHarness.UntilAsync(() => _log.Count(DialFailed) > before);
            Assert.InRange(_log.Count(DialFailed), 1, _seconds + 1);
            Assert.InRange(_seconds, 0, 10_000);
        }
        while (_log.All(DialFailed).Sum(static line => 1 + line.Suppressed) != _failures);
    }

    private PooledTcpClient Client(Func<PoolSettings, FakeTransport> dial)
    {
        PooledTcpOptions options = new();
        options.Defaults.Health.FailuresToOpen = 1000;
        options.AddEndpoint("cache", static endpoint => endpoint.Address = "10.1.0.1:7000");
        options.AddEndpoint("other", static endpoint => endpoint.Address = "10.1.0.2:7000");
        return new PooledTcpClient(
            SettingsFactory.Create(options), new Dictionary<string, EndpointHooks>(), _log.AsFactory(), null, _time, (_, _) => new FakeConnector { Automatic = dial });
    }
}
