using System.Net;
using System.Net.Sockets;
using PooledTcp.Configuration;
using PooledTcp.Health;
using PooledTcp.Ports;
using PooledTcp.Tests.Connections;
using Xunit;

namespace PooledTcp.Tests.Health;

/// <summary>Which addresses a dial tries in which order, and what each earns by it.</summary>
public sealed class EndpointRoutesTests
{
    private static readonly HealthSettings Settings = TestSettings.Health with { FailuresToOpen = 2 };
    private static readonly SocketException Refused = new((int)SocketError.ConnectionRefused);

    private readonly EndpointRoutes _routes = new(EndpointAddress.Parse("cache.test:7000"), isResolvable: true, static () => 0);
    private TimeSpan _now = TimeSpan.FromHours(1);

    [Fact]
    public void Families_alternate_beginning_with_the_resolvers_first()
    {
        Resolve("2001:db8::1", "2001:db8::2", "2001:db8::3", "10.0.0.1", "10.0.0.2");
        Assert.Equal("2001:db8::1 10.0.0.1 2001:db8::2 10.0.0.2 2001:db8::3", Next());

        Resolve("10.0.0.1", "2001:db8::1", "2001:db8::2");
        Assert.Equal("10.0.0.1 2001:db8::1 2001:db8::2", Next());
    }

    [Fact]
    public void Within_a_family_the_least_used_comes_first()
    {
        Resolve("10.0.0.1", "10.0.0.2", "10.0.0.3");
        Use("10.0.0.1", 3);
        Use("10.0.0.2", 1);
        Assert.Equal("10.0.0.3 10.0.0.2 10.0.0.1", Next());
    }

    [Fact]
    public void The_second_family_leads_to_the_same_servers_and_is_not_spread_over()
    {
        Resolve("2001:db8::1", "10.0.0.1");
        Use("2001:db8::1", 50);
        Assert.Equal("2001:db8::1 10.0.0.1", Next());
    }

    [Fact]
    public void Dials_that_run_together_spread_too()
    {
        Resolve("10.0.0.1", "10.0.0.2");
        RoutePlan first = _routes.Begin();
        Assert.Equal("10.0.0.2 10.0.0.1", Next());
        EndpointRoutes.Release(first);
        Assert.Equal("10.0.0.1 10.0.0.2", Next());
    }

    [Fact]
    public void Ties_are_broken_by_chance()
    {
        int dice = 0;
        EndpointRoutes routes = new(EndpointAddress.Parse("cache.test:7000"), isResolvable: true, () => 1.0 / ++dice);
        routes.Update([.. Enumerable.Range(1, 3).Select(static i => IPAddress.Parse($"10.0.0.{i}"))], out _, out _);
        Assert.Equal("10.0.0.3 10.0.0.2 10.0.0.1", Show(routes.Begin()));
    }

    [Fact]
    public void An_address_whose_last_dial_failed_comes_last_for_a_while()
    {
        Resolve("10.0.0.1", "10.0.0.2", "10.0.0.3");
        Dial(won: "10.0.0.2", failed: ["10.0.0.1"]);
        Assert.Equal("10.0.0.2 10.0.0.3 10.0.0.1", Next());

        Pass(Breaker.FirstBackoff);
        Assert.Equal("10.0.0.1 10.0.0.2 10.0.0.3", Next());
    }

    [Fact]
    public void One_that_was_overtaken_comes_last_too_and_never_opens()
    {
        Resolve("10.0.0.1", "10.0.0.2");
        for (int i = 0; i < 10; i++)
        {
            Dial(won: "10.0.0.2", silent: ["10.0.0.1"]);
            Assert.Equal("10.0.0.2 10.0.0.1", Next());
            Pass(TimeSpan.FromSeconds(5));
        }
    }

    [Fact]
    public void When_all_have_failed_they_are_still_tried()
    {
        Resolve("10.0.0.1", "10.0.0.2");
        Dial(failed: ["10.0.0.1", "10.0.0.2"]);
        Assert.True(_routes.LetsThrough);
        Assert.Equal("10.0.0.1 10.0.0.2", Next());
    }

    [Fact]
    public void An_address_with_an_open_breaker_is_left_out_and_the_endpoint_goes_on()
    {
        Resolve("10.0.0.1", "10.0.0.2");
        Open("10.0.0.1");
        Assert.Equal("10.0.0.2", Next());
        Assert.Equal(BreakerState.Closed, _routes.State);
        Assert.True(_routes.LetsThrough);
    }

    [Fact]
    public void Only_when_every_address_is_open_nothing_is_let_through()
    {
        Resolve("10.0.0.1", "10.0.0.2");
        Open("10.0.0.1");
        Open("10.0.0.2");
        Assert.Equal(BreakerState.Open, _routes.State);
        Assert.False(_routes.LetsThrough);
        Assert.Equal(_now + Breaker.FirstBackoff, _routes.RetryAt);
    }

    [Fact]
    public void A_due_probe_goes_first_in_one_dial()
    {
        Resolve("10.0.0.1", "10.0.0.2", "10.0.0.3");
        Open("10.0.0.2");
        Open("10.0.0.3");
        Use("10.0.0.2", 9);
        Pass(TimeSpan.FromSeconds(5));

        RoutePlan probe = _routes.Begin();
        Assert.Equal("10.0.0.2 10.0.0.1", Show(probe));
        Assert.Equal("10.0.0.3 10.0.0.1", Next());
        End(probe, won: "10.0.0.2");
        Assert.Equal("10.0.0.3 10.0.0.1 10.0.0.2", Next());
    }

    [Fact]
    public void When_all_are_open_one_dial_probes_all_that_are_due()
    {
        Resolve("10.0.0.1", "10.0.0.2");
        Open("10.0.0.1");
        Open("10.0.0.2");
        Pass(TimeSpan.FromSeconds(5));
        Assert.Equal(BreakerState.HalfOpen, _routes.State);

        RoutePlan probe = _routes.Begin();
        Assert.Equal("10.0.0.1 10.0.0.2", Show(probe));
        Assert.False(_routes.LetsThrough);
        EndpointRoutes.Release(probe);
        Assert.True(_routes.LetsThrough);
    }

    [Fact]
    public void When_all_are_open_the_others_follow_the_one_that_is_due_and_are_its_probe_too()
    {
        Resolve("10.0.0.1", "10.0.0.2", "10.0.0.3");
        Open("10.0.0.3");
        Pass(TimeSpan.FromMilliseconds(30));
        Open("10.0.0.2");
        Pass(TimeSpan.FromMilliseconds(30));
        Open("10.0.0.1");
        Pass(TimeSpan.FromMilliseconds(50));

        RoutePlan probe = _routes.Begin();
        Assert.Equal("10.0.0.3 10.0.0.2 10.0.0.1", Show(probe));

        // Their pauses end meanwhile: still one probe.
        Pass(TimeSpan.FromSeconds(5));
        Assert.False(_routes.LetsThrough);
        Assert.Equal(TimeSpan.MaxValue, _routes.RetryAt);
        End(probe, won: "10.0.0.2", silent: ["10.0.0.3"]);
        Assert.Equal([BreakerState.HalfOpen, BreakerState.Closed, BreakerState.Open], _routes.Listed.Select(static route => route.Breaker.State));
    }

    [Fact]
    public void A_probe_that_did_not_come_by_leaves_the_pause_as_it_was_and_one_that_did_prolongs_it()
    {
        Resolve("10.0.0.1", "10.0.0.2");
        Open("10.0.0.2");
        Pass(TimeSpan.FromMilliseconds(60));
        Open("10.0.0.1");
        TimeSpan due = _routes.Listed[0].Breaker.RetryAt;
        Pass(TimeSpan.FromMilliseconds(50));
        RoutePlan probe = _routes.Begin();
        Assert.Equal("10.0.0.2 10.0.0.1", Show(probe));
        EndpointRoutes.Release(probe);
        Assert.Equal(BreakerState.Open, _routes.Listed[0].Breaker.State);
        Assert.Equal(due, _routes.Listed[0].Breaker.RetryAt);

        Dial(failed: ["10.0.0.2", "10.0.0.1"]);
        Assert.Equal([BreakerState.Open, BreakerState.Open], _routes.Listed.Select(static route => route.Breaker.State));
        Assert.All(_routes.Listed, route => Assert.Equal(_now + (2 * Breaker.FirstBackoff), route.Breaker.RetryAt));
    }

    public static TheoryData<Exception> Local =>
    [
        new SocketException((int)SocketError.AddressAlreadyInUse),
        new SocketException((int)SocketError.AddressNotAvailable),
        new SocketException((int)SocketError.TooManyOpenSockets),
        new SocketException((int)SocketError.NoBufferSpaceAvailable),
        new SocketException((int)SocketError.AccessDenied),
        new SocketException((int)SocketError.WouldBlock),
        new NoLocalPortException("none", inner: null),
        new IOException("all failed", new SocketException((int)SocketError.TooManyOpenSockets)),
    ];

    [Theory]
    [MemberData(nameof(Local))]
    public void What_is_this_hosts_own_fault_opens_nothing(Exception error)
    {
        Resolve("10.0.0.1");
        for (int i = 0; i < 10; i++)
        {
            RoutePlan own = _routes.Begin();
            own.Race.Started(0);
            own.Race.Failed(0, error);
            EndpointRoutes.End(own, error, _now, Settings);

            // After the connect: in TLS, or in a handshake that opens files.
            RoutePlan later = _routes.Begin();
            later.Race.Won(0);
            EndpointRoutes.End(later, error, _now, Settings);
        }

        Assert.Equal(BreakerState.Closed, _routes.State);
        Assert.Equal(0, _routes.Failures);
    }

    [Theory]
    [InlineData(SocketError.ConnectionRefused)]
    [InlineData(SocketError.HostUnreachable)]
    [InlineData(SocketError.NetworkUnreachable)]
    [InlineData(SocketError.TimedOut)]
    [InlineData(SocketError.ConnectionReset)]
    public void What_the_other_side_does_counts(SocketError error)
    {
        Resolve("10.0.0.1");
        Fail(new SocketException((int)error));
        Fail(new SocketException((int)error));
        Assert.Equal(BreakerState.Open, _routes.State);
    }

    [Fact]
    public void A_failed_handshake_is_the_winners_and_a_timeout_everybodys_who_was_asked()
    {
        Resolve("10.0.0.1", "10.0.0.2", "10.0.0.3");
        RoutePlan plan = _routes.Begin();
        plan.Race.Started(0);
        plan.Race.Started(1);
        plan.Race.Won(1);
        EndpointRoutes.End(plan, new IOException("handshake"), _now, Settings);
        Assert.Equal([0, 1, 0], _routes.Listed.Select(static r => r.Breaker.Failures));

        Pass(TimeSpan.FromSeconds(5));
        plan = _routes.Begin();
        plan.Race.Started(0);
        plan.Race.Started(1);
        EndpointRoutes.End(plan, new TimeoutException(), _now, Settings);
        Assert.Equal([1, 2, 0], _routes.Listed.Select(static r => r.Breaker.Failures));
    }

    [Fact]
    public void A_name_that_cannot_be_resolved_has_a_breaker_of_its_own()
    {
        Assert.True(_routes.Begin().NeedsLookup);
        Fail(new SocketException((int)SocketError.HostNotFound));
        Fail(new SocketException((int)SocketError.HostNotFound));
        Assert.False(_routes.LetsThrough);
        Assert.Equal("cache.test", ((DnsEndPoint)Assert.Single(_routes.Listed).Target.EndPoint).Host);

        Resolve("10.0.0.1");
        Assert.True(_routes.LetsThrough);
        Assert.False(_routes.Begin().NeedsLookup);
    }

    [Fact]
    public void An_address_that_leaves_and_comes_back_is_the_same_one()
    {
        Resolve("10.0.0.1", "10.0.0.2");
        Use("10.0.0.1", 1);
        Route route = _routes.Listed[0];

        Assert.True(_routes.Update([IPAddress.Parse("10.0.0.2"), IPAddress.Parse("10.0.0.3")], out int added, out int removed));
        Assert.Equal((1, 1), (added, removed));
        Assert.True(route.Target.IsRemoved);
        Assert.Equal("10.0.0.2 10.0.0.3", Next());

        Assert.True(_routes.Update([IPAddress.Parse("10.0.0.1")], out added, out removed));
        Assert.Equal((1, 2), (added, removed));
        Assert.Same(route, Assert.Single(_routes.Listed));
        Assert.False(route.Target.IsRemoved);
        Assert.False(_routes.Update([IPAddress.Parse("10.0.0.1")], out _, out _));
    }

    [Fact]
    public void An_address_that_left_without_connections_is_forgotten_with_its_breaker()
    {
        Resolve("10.0.0.1", "10.0.0.2");
        Open("10.0.0.1");
        Route route = _routes.Listed[0];
        Resolve("10.0.0.2");
        Resolve("10.0.0.2");
        Resolve("10.0.0.1", "10.0.0.2");
        Assert.NotSame(route, _routes.Listed[0]);
        Assert.Equal(BreakerState.Closed, _routes.Listed[0].Breaker.State);
    }

    [Fact]
    public void A_literal_and_a_unix_socket_are_one_address_for_good()
    {
        EndpointRoutes literal = new(EndpointAddress.Parse("10.0.0.1:7000"), isResolvable: false, static () => 0);
        Assert.False(literal.Begin().NeedsLookup);
        Assert.Equal(IPEndPoint.Parse("10.0.0.1:7000"), literal.Listed[0].Target.EndPoint);

        EndpointRoutes unix = new(EndpointAddress.Parse("unix:/run/x.sock"), isResolvable: false, static () => 0);
        Assert.IsType<UnixDomainSocketEndPoint>(unix.Begin().Race.Targets[0].EndPoint);
    }

    private static string Show(RoutePlan plan) =>
        string.Join(' ', plan.Race.Targets.Select(static target => ((IPEndPoint)target.EndPoint).Address));

    private void Resolve(params string[] addresses) => _routes.Update([.. addresses.Select(IPAddress.Parse)], out _, out _);

    private void Use(string address, int connections) => Find(address).Target.Connections = connections;

    private Route Find(string address) =>
        _routes.Listed.Single(route => ((IPEndPoint)route.Target.EndPoint).Address.Equals(IPAddress.Parse(address)));

    /// <summary>What the next dial would try.</summary>
    private string Next()
    {
        RoutePlan plan = _routes.Begin();
        EndpointRoutes.Release(plan);
        return Show(plan);
    }

    private void Pass(TimeSpan time)
    {
        _now += time;
        _routes.Advance(_now);
    }

    private void Open(string address)
    {
        for (int i = 0; i < Settings.FailuresToOpen; i++)
        {
            Find(address).Breaker.Failed(isProbe: false, _now, Settings);
        }
    }

    private void Fail(Exception error)
    {
        RoutePlan plan = _routes.Begin();
        if (!plan.NeedsLookup)
        {
            plan.Race.Started(0);
            plan.Race.Failed(0, error);
        }

        EndpointRoutes.End(plan, error, _now, Settings);
    }

    private void Dial(string? won = null, string[]? failed = null, string[]? silent = null) => End(_routes.Begin(), won, failed, silent);

    private void End(RoutePlan plan, string? won = null, string[]? failed = null, string[]? silent = null)
    {
        for (int i = 0; i < plan.Race.Targets.Count; i++)
        {
            string address = ((IPEndPoint)plan.Race.Targets[i].EndPoint).Address.ToString();
            if (failed?.Contains(address) == true)
            {
                plan.Race.Failed(i, Refused);
            }
            else if (silent?.Contains(address) == true)
            {
                plan.Race.Started(i);
            }
            else if (address == won)
            {
                plan.Race.Won(i);
            }
        }

        EndpointRoutes.End(plan, won is null ? Refused : null, _now, Settings);
    }
}
