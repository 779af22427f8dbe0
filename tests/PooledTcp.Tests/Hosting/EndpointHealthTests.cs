using System.Net;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using PooledTcp.Hosting;
using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Hosting;

/// <summary>The verdict on one endpoint, row by row of docs/hosting.md: degraded before unhealthy.</summary>
public sealed class EndpointHealthTests
{
    private static readonly TcpPoolSnapshot Fresh = NewPool();

    public static TheoryData<string, TcpPoolSnapshot> Healthy => new()
    {
        { "never dialed", Fresh },
        { "busy to the last connection", Fresh with { Used = 4, Waiting = 799, MaxWaiters = 1000 } },
        { "callers for whom dials are running do not count as queued", Fresh with { MaxWaiters = 1, Waiting = 4, Connecting = 4 } },
        { "a queue that is not allowed is never full", Fresh with { MaxWaiters = 0, Waiting = 3, Connecting = 1 } },
        { "a dial that failed now and then", Fresh with { DialsFailed = 3, LastConnectError = new IOException("x"), LastConnectErrorAge = TimeSpan.Zero } },
        { "old timeouts", Fresh with { RentTimeouts = 50 } },
        { "ports below the mark", Fresh with { PortPressure = 0.89 } },
        { "more ports taken than of one address's there are, over many addresses", Fresh with { PortsUsed = 95, PortBudget = 100, PortPressure = 0.5 } },
    };

    public static TheoryData<string, TcpPoolSnapshot, string> Degraded => new()
    {
        { "paused", Fresh with { State = TcpPoolState.Paused }, "the pool is paused" },
        { "open with connections left", Fresh with { BreakerState = BreakerState.Open, Idle = 1, Used = 2 }, "it cannot be reached; 3 connections are left" },
        {
            "half-open, nothing left, and nobody has dialed for long",
            Fresh with { BreakerState = BreakerState.HalfOpen, LastConnectErrorAge = EndpointHealth.FailureCountsFor },
            "it could not be reached; the next rent tries again"
        },
        {
            "half-open with connections left",
            Fresh with { BreakerState = BreakerState.HalfOpen, LastConnectErrorAge = TimeSpan.Zero, Used = 1 },
            "it could not be reached; the next rent tries again"
        },
        {
            "one address of three",
            Fresh with { Addresses = [Address(BreakerState.Closed), Address(BreakerState.HalfOpen), Address(BreakerState.Closed)] },
            "1 of its 3 addresses cannot be reached"
        },
        { "a queue nearly full", Fresh with { MaxWaiters = 1000, Waiting = 804, Connecting = 4 }, "804 callers wait, of at most 1000" },
        { "ports of one address nearly taken", Fresh with { PortsUsed = 90, PortBudget = 900, PortPressure = 0.9 }, "90 % of the local ports towards its fullest address are taken" },
        {
            "two at once",
            Fresh with { State = TcpPoolState.Paused, PortPressure = 0.95 },
            "the pool is paused; 95 % of the local ports towards its fullest address are taken"
        },
    };

    public static TheoryData<string, TcpPoolSnapshot> Unhealthy => new()
    {
        { "open, nothing left", Fresh with { BreakerState = BreakerState.Open } },
        { "open, the last ones closing", Fresh with { BreakerState = BreakerState.Open, Closing = 3, Waiting = 7 } },
        {
            "half-open, nothing left, and a dial failed a moment ago",
            Fresh with { BreakerState = BreakerState.HalfOpen, LastConnectErrorAge = EndpointHealth.FailureCountsFor - TimeSpan.FromTicks(1) }
        },
        {
            "half-open, and the dial that will tell is running",
            Fresh with { BreakerState = BreakerState.HalfOpen, LastConnectErrorAge = TimeSpan.FromHours(1), Connecting = 1 }
        },
        { "draining", Fresh with { State = TcpPoolState.Draining, Idle = 4 } },
        { "closed", Fresh with { State = TcpPoolState.Closed } },
    };

    [Theory]
    [MemberData(nameof(Healthy), DisableDiscoveryEnumeration = true)]
    public void It_is_healthy(string what, TcpPoolSnapshot now) =>
        Assert.Equal((what, new EndpointHealth(HealthStatus.Healthy, null)), (what, EndpointHealth.Of(now, timedOutLately: false)));

    [Theory]
    [MemberData(nameof(Degraded), DisableDiscoveryEnumeration = true)]
    public void It_is_degraded(string what, TcpPoolSnapshot now, string reason) =>
        Assert.Equal((what, new EndpointHealth(HealthStatus.Degraded, reason)), (what, EndpointHealth.Of(now, timedOutLately: false)));

    [Theory]
    [MemberData(nameof(Unhealthy), DisableDiscoveryEnumeration = true)]
    public void It_is_unhealthy(string what, TcpPoolSnapshot now) =>
        Assert.Equal((what, HealthStatus.Unhealthy), (what, EndpointHealth.Of(now, timedOutLately: false).Status));

    [Fact]
    public void A_rent_that_timed_out_lately_degrades_it() =>
        Assert.Equal(
            new EndpointHealth(HealthStatus.Degraded, "rents time out (4 of 4 connections in use, 2 callers wait)"),
            EndpointHealth.Of(Fresh with { Used = 4, Waiting = 2 }, timedOutLately: true));

    private static TcpAddressSnapshot Address(BreakerState state) => new()
    {
        EndPoint = new IPEndPoint(IPAddress.Loopback, 7),
        Connections = 0,
        BreakerState = state,
        ConsecutiveFailures = 0,
    };

    private static TcpPoolSnapshot NewPool()
    {
        PoolHarness pool = new();
        return pool.Now;
    }
}
