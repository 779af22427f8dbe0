using System.Collections.Concurrent;
using System.Collections.Frozen;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using PooledTcp.Configuration;
using PooledTcp.Connections;
using PooledTcp.IntegrationTests.Servers;
using PooledTcp.IntegrationTests.Support;
using Xunit;

namespace PooledTcp.IntegrationTests;

/// <summary>
/// Servers that are away, that move, or of which only some answer: real sockets on loopback addresses; only the name server
/// is not real. The figures each test prints stand in docs/reliability.md.
/// </summary>
public sealed class ReachingTests(ITestOutputHelper output)
{
    private const int Limit = 60_000;

    // The delay after which the next address is tried, and what a machine on which much else runs may add to anything.
    private static readonly TimeSpan AttemptDelay = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan Slack = TimeSpan.FromSeconds(4);

    private readonly int _port = FreePort.Next();
    private volatile IPAddress[] _answer = [];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact(Timeout = Limit)]
    public async Task Half_the_addresses_refuse()
    {
        await using var one = new EchoServer(At(3));
        await using var other = new EchoServer(At(5));
        _answer = [Host(2), Host(3), Host(4), Host(5)];
        await using PooledTcpClient client = Client(static e => e.MaxConnections = 40);
        TcpPool pool = client.GetPool("server");

        (TimeSpan longest, TcpLease[] leases) = await RentAllAsync(pool, 40);

        output.WriteLine($"40 cold rents, half the addresses refuse: longest {longest.TotalMilliseconds:0} ms");
        Assert.InRange(longest, TimeSpan.Zero, Slack);
        AssertSpread(pool, leases, (3, 20), (5, 20));
        Assert.Equal(0, pool.GetSnapshot().DialsFailed);
        ReturnAll(leases);
    }

    [Fact(Timeout = Limit)]
    public async Task Half_the_addresses_never_answer()
    {
        SkipUnlessSilent();
        using var dead = new SilentAddress(At(2));
        using var deadToo = new SilentAddress(At(4));
        await using var one = new EchoServer(At(3));
        await using var other = new EchoServer(At(5));
        _answer = [Host(2), Host(3), Host(4), Host(5)];
        await using PooledTcpClient client = Client(static e => e.MaxConnections = 40);
        TcpPool pool = client.GetPool("server");

        (TimeSpan longest, TcpLease[] leases) = await RentAllAsync(pool, 40);

        output.WriteLine($"40 cold rents, half the addresses never answer: longest {longest.TotalMilliseconds:0} ms");

        // Two dead ones in a row at worst, for the first dials; those behind them wait for a permit as long.
        Assert.InRange(longest, TimeSpan.Zero, (4 * AttemptDelay) + Slack);
        Assert.Equal(0, pool.GetSnapshot().DialsFailed);
        Assert.All(leases, static lease => Assert.Contains(((IPEndPoint)lease.RemoteEndPoint!).Address, new[] { Host(3), Host(5) }));
        ReturnAll(leases);

        // What was overtaken is closed, ports and all.
        await Eventually.TrueAsync(() => KernelSockets.CountTo(_port) == 40 + 2, () => $"{KernelSockets.CountTo(_port)} sockets, 40 pooled and 2 fillers expected");
    }

    [Fact(Timeout = Limit)]
    public async Task An_address_that_dies_under_load_is_left_out_and_found_again()
    {
        var mortal = new EchoServer(At(2));
        await using var other = new EchoServer(At(3));
        _answer = [Host(2), Host(3)];
        await using PooledTcpClient client = Client(static e =>
        {
            e.MaxConnections = 8;
            // Dials all the time, and leaves other tests their ports.
            e.MaxUses = 20;
            e.Ports.TimeWaitShare = 0;
            e.Health.MaxBackoff = TimeSpan.FromSeconds(1);
        });
        TcpPool pool = client.GetPool("server");
        using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(Token);
        Task<(long Done, Exception[] Failed)> load = LoadAsync(pool, 16, stop.Token);
        await Eventually.TrueAsync(() => ConnectionsTo(2) > 0 && ConnectionsTo(3) > 0, () => $"{pool.GetSnapshot()}");

        await mortal.DisposeAsync();
        await Eventually.TrueAsync(() => At2().BreakerState != BreakerState.Closed && ConnectionsTo(2) == 0, () => $"{pool.GetSnapshot()}");
        long createdAway = pool.GetSnapshot().Created;
        await Eventually.TrueAsync(() => pool.GetSnapshot().Created > createdAway + 20, () => $"{pool.GetSnapshot()}");
        Assert.Equal(BreakerState.Closed, pool.GetSnapshot().BreakerState);

        await using var back = new EchoServer(At(2));
        long start = Stopwatch.GetTimestamp();
        await Eventually.TrueAsync(() => At2().BreakerState == BreakerState.Closed && ConnectionsTo(2) > 0, () => $"{pool.GetSnapshot()}");
        TimeSpan found = Stopwatch.GetElapsedTime(start);
        await stop.CancelAsync();
        (long done, Exception[] failed) = await load;

        output.WriteLine($"one of two addresses died and came back under load: found again after {found.TotalMilliseconds:0} ms (MaxBackoff 1 s), {done} exchanges, {failed.Length} failed");

        // What was under way at the moment it died is lost: exchanges, and dials that it had accepted and did not serve.
        Assert.All(failed, static e => Assert.True(e is ConnectionFaultedException or EndOfStreamException or EndpointUnavailableException, e.ToString()));
        Assert.InRange(failed.Length, 0, 16);
        Assert.InRange(pool.GetSnapshot().DialsFailed, 0, 16);

        TcpAddressSnapshot At2() => pool.GetSnapshot().Addresses.Single(a => ((IPEndPoint)a.EndPoint).Address.Equals(Host(2)));
        int ConnectionsTo(int host) =>
            pool.GetSnapshot().Addresses.SingleOrDefault(a => a.EndPoint is IPEndPoint at && at.Address.Equals(Host(host)))?.Connections ?? 0;
    }

    [Fact(Timeout = Limit)]
    public async Task The_name_moves_under_load_and_nobody_notices()
    {
        await using var old = new EchoServer(At(2));
        await using var next = new EchoServer(At(3));
        _answer = [Host(2)];
        await using PooledTcpClient client = Client(static e =>
        {
            e.MaxConnections = 8;
            e.DnsRefreshInterval = TimeSpan.FromSeconds(1);
        });
        TcpPool pool = client.GetPool("server");
        using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(Token);
        Task<(long Done, Exception[] Failed)> load = LoadAsync(pool, 16, stop.Token);
        await Eventually.TrueAsync(() => pool.GetSnapshot().Created > 0, static () => "no connection");

        _answer = [Host(3)];
        long start = Stopwatch.GetTimestamp();
        await Eventually.TrueAsync(
            () => pool.GetSnapshot() is { Addresses: [{ EndPoint: IPEndPoint { Address: var a }, Connections: > 0 }], ClosedByReason: var reasons }
                && a.Equals(Host(3)) && reasons.ContainsKey("address_removed"),
            () => $"{pool.GetSnapshot()}");
        TimeSpan moved = Stopwatch.GetElapsedTime(start);
        await stop.CancelAsync();
        (long done, Exception[] failed) = await load;

        output.WriteLine($"DNS moved: all connections at the new address after {moved.TotalMilliseconds:0} ms (interval 1 s), {done} exchanges, {failed.Length} failed");
        Assert.Empty(failed);
        await Eventually.TrueAsync(
            () => client.Pools.Single().GetSnapshot() is { Used: 0, Closing: 0, Connecting: 0 } now && now.Idle == now.Addresses[0].Connections,
            () => $"{pool.GetSnapshot()}");
    }

    [Fact(Timeout = Limit)]
    public async Task A_failover_by_name_is_found_by_the_failing_dials()
    {
        var old = new EchoServer(At(2));
        await using var next = new EchoServer(At(3));
        _answer = [Host(2)];
        await using PooledTcpClient client = Client(static e => e.DnsRefreshInterval = TimeSpan.FromHours(1));
        TcpPool pool = client.GetPool("server");
        await Exchange.RunAsync(pool, 1, Token);
        await Task.Delay(NameCache.ShortestPause, Token);

        await old.DisposeAsync();
        _answer = [Host(3)];
        long start = Stopwatch.GetTimestamp();
        TimeSpan back = await UntilServedAsync(pool, start);

        output.WriteLine($"failover by name, interval 1 h: served again after {back.TotalMilliseconds:0} ms");
        Assert.InRange(back, TimeSpan.Zero, NameCache.ShortestPause + Slack);
    }

    [Theory(Timeout = Limit)]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Dual_stack_with_a_dead_IPv6_is_served_over_IPv4(bool isSilent)
    {
        Assert.SkipUnless(HasIPv6Loopback(), "This machine has no ::1");
        if (isSilent)
        {
            SkipUnlessSilent();
        }

        using SilentAddress? silent = isSilent ? new SilentAddress(new IPEndPoint(IPAddress.IPv6Loopback, _port)) : null;
        await using var server = new EchoServer(At(1));
        _answer = [IPAddress.IPv6Loopback, Host(1)];
        await using PooledTcpClient client = Client(static e => e.MaxConnections = 10);
        TcpPool pool = client.GetPool("server");

        (TimeSpan longest, TcpLease[] leases) = await RentAllAsync(pool, 10);

        output.WriteLine($"dual stack, IPv6 {(isSilent ? "silent" : "refused")}: longest of 10 cold rents {longest.TotalMilliseconds:0} ms");
        Assert.InRange(longest, TimeSpan.Zero, (isSilent ? 2 * AttemptDelay : TimeSpan.Zero) + Slack);
        Assert.Equal(0, pool.GetSnapshot().DialsFailed);
        ReturnAll(leases);
    }

    [Fact(Timeout = Limit)]
    public async Task A_server_that_comes_back_is_served_again_at_the_next_probe()
    {
        _answer = [Host(2)];
        TimeSpan maxBackoff = TimeSpan.FromSeconds(1);
        await using PooledTcpClient client = Client(e =>
        {
            e.Health.MaxBackoff = maxBackoff;
            e.MinIdleConnections = 2;
        });
        TcpPool pool = client.GetPool("server");
        ConcurrentBag<TimeSpan> refusals = [];
        List<TimeSpan> recoveries = [];
        for (int round = 0; round < 3; round++)
        {
            long down = Stopwatch.GetTimestamp();
            while (Stopwatch.GetElapsedTime(down) < TimeSpan.FromSeconds(2))
            {
                long asked = Stopwatch.GetTimestamp();
                await Assert.ThrowsAnyAsync<PooledTcpException>(() => Exchange.RunAsync(pool, round, Token));
                refusals.Add(Stopwatch.GetElapsedTime(asked));
            }

            Assert.NotEqual(BreakerState.Closed, pool.GetSnapshot().BreakerState);
            await using var server = new EchoServer(At(2));
            recoveries.Add(await UntilServedAsync(pool, Stopwatch.GetTimestamp()));
            Assert.Equal(BreakerState.Closed, pool.GetSnapshot().BreakerState);
            await Eventually.TrueAsync(() => pool.GetSnapshot().Idle >= 2, () => $"{pool.GetSnapshot()}");
        }

        TimeSpan[] sorted = [.. refusals.Order()];
        output.WriteLine(
            $"server away: {sorted.Length} rents refused, p50 {sorted[sorted.Length / 2].TotalMicroseconds:0} us, longest {sorted[^1].TotalMilliseconds:0} ms, "
            + $"{pool.GetSnapshot().DialsFailed} dials; served again after {string.Join(", ", recoveries.Select(static r => $"{r.TotalMilliseconds:0} ms"))} (MaxBackoff 1 s)");
        Assert.All(recoveries, recovery => Assert.InRange(recovery, TimeSpan.Zero, maxBackoff + Slack));
        Assert.InRange(pool.GetSnapshot().DialsFailed, 5, 3 * 40);
    }

    [Fact(Timeout = Limit)]
    public async Task A_dead_host_costs_each_waiter_its_own_deadline_and_then_nothing()
    {
        SkipUnlessSilent();
        using var dead = new SilentAddress(At(2));
        _answer = [Host(2)];
        TimeSpan rentTimeout = TimeSpan.FromSeconds(2);
        await using PooledTcpClient client = Client(e =>
        {
            e.RentTimeout = rentTimeout;
            e.ConnectTimeout = TimeSpan.FromMilliseconds(500);
        });
        TcpPool pool = client.GetPool("server");

        TimeSpan[] waited = await Task.WhenAll(Enumerable.Range(0, 100).Select(async i =>
        {
            long start = Stopwatch.GetTimestamp();
            await Assert.ThrowsAnyAsync<PooledTcpException>(() => Exchange.RunAsync(pool, i, Token));
            return Stopwatch.GetElapsedTime(start);
        }));
        long asked = Stopwatch.GetTimestamp();
        int dials = (int)pool.GetSnapshot().DialsFailed;
        EndpointUnavailableException error = await Assert.ThrowsAsync<EndpointUnavailableException>(() => Exchange.RunAsync(pool, 1, Token));
        TimeSpan refused = Stopwatch.GetElapsedTime(asked);

        output.WriteLine($"dead host, 100 rents at once: longest {waited.Max().TotalMilliseconds:0} ms with {dials} dials (RentTimeout 2 s, ConnectTimeout 500 ms); then {refused.TotalMilliseconds:0.0} ms");
        Assert.InRange(waited.Max(), TimeSpan.Zero, rentTimeout + Slack);

        // One dial each would be a hundred, and 12 s.
        Assert.InRange(dials, 5, 20);
        Assert.IsType<TimeoutException>(error.InnerException);
    }

    private static IPAddress Host(int last) => new([127, 0, 0, (byte)last]);

    private IPEndPoint At(int last) => new(Host(last), _port);

    private PooledTcpClient Client(Action<TcpEndpointOptions> configure)
    {
        PooledTcpOptions options = new PooledTcpOptions().AddEndpoint("server", endpoint =>
        {
            endpoint.Address = $"server.test:{_port}";
            configure(endpoint);
        });
        return new PooledTcpClient(
            SettingsFactory.Create(options),
            FrozenDictionary<string, EndpointHooks>.Empty,
            loggerFactory: null,
            meterFactory: null,
            timeProvider: null,
            resolve: (_, _) => Task.FromResult(_answer));
    }

    private static async Task<(TimeSpan Longest, TcpLease[] Leases)> RentAllAsync(TcpPool pool, int count)
    {
        ConcurrentBag<TimeSpan> times = [];
        TcpLease[] leases = await Task.WhenAll(Enumerable.Range(0, count).Select(async _ =>
        {
            long start = Stopwatch.GetTimestamp();
            TcpLease lease = await pool.RentAsync(Token);
            times.Add(Stopwatch.GetElapsedTime(start));
            return lease;
        }));
        return (times.Max(), leases);
    }

    private static void ReturnAll(TcpLease[] leases)
    {
        foreach (TcpLease lease in leases)
        {
            lease.Complete();
            lease.Dispose();
        }
    }

    private static void AssertSpread(TcpPool pool, TcpLease[] leases, params (int Host, int Connections)[] expected)
    {
        foreach ((int host, int connections) in expected)
        {
            // Dials under way count as well, but which of two equals is asked first is chance, and one that a busy machine held
            // up for the attempt delay lets others go first for a while.
            int led = leases.Count(lease => ((IPEndPoint)lease.RemoteEndPoint!).Address.Equals(Host(host)));
            Assert.InRange(led, connections - 12, connections + 12);
            Assert.Equal(led, pool.GetSnapshot().Addresses.Single(a => ((IPEndPoint)a.EndPoint).Address.Equals(Host(host))).Connections);
        }
    }

    private static async Task<(long Done, Exception[] Failed)> LoadAsync(TcpPool pool, int callers, CancellationToken stop)
    {
        long done = 0;
        ConcurrentBag<Exception> failed = [];
        await Task.WhenAll(Enumerable.Range(0, callers).Select(caller => Task.Run(
            async () =>
            {
                for (long i = 0; !stop.IsCancellationRequested; i++)
                {
                    try
                    {
                        await Exchange.RunAsync(pool, (caller * 1_000_000L) + i, CancellationToken.None);
                        Interlocked.Increment(ref done);
                    }
                    catch (Exception e)
                    {
                        failed.Add(e);
                    }
                }
            },
            CancellationToken.None)));
        return (done, [.. failed]);
    }

    private static async Task<TimeSpan> UntilServedAsync(TcpPool pool, long start)
    {
        while (true)
        {
            try
            {
                await Exchange.RunAsync(pool, 7, Token);
                return Stopwatch.GetElapsedTime(start);
            }
            catch (Exception e) when (e is PooledTcpException or EndOfStreamException)
            {
                Assert.True(Stopwatch.GetElapsedTime(start) < TimeSpan.FromSeconds(20), e.Message);
                await Task.Delay(5, Token);
            }
        }
    }

    private static bool HasIPv6Loopback()
    {
        try
        {
            using Socket probe = new(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp);
            probe.Bind(new IPEndPoint(IPAddress.IPv6Loopback, 0));
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private static void SkipUnlessSilent() =>
        Assert.SkipUnless(OperatingSystem.IsLinux(), "relies on a full accept queue dropping the SYN");
}
