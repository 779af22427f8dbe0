using System.Net.Sockets;
using PooledTcp.Ports;
using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Telemetry;

/// <summary>How long callers waited, dials took, leases and connections lasted: to the tick, on fake time.</summary>
public sealed class TimingMetricTests
{
    private const string WaitTime = "pooled_tcp.connection.wait_time";
    private const string CreateTime = "pooled_tcp.connection.create_time";
    private const string UseTime = "pooled_tcp.connection.use_time";

    [Fact]
    public async Task A_dialed_connection_was_waited_for_as_long_as_the_dial_took()
    {
        await using MetricRig rig = new(automatic: false);
        Task<TcpLease> rent = rig.RentAsync();
        FakeDial dial = await rig.Connector.NextAsync();
        rig.Time.Advance(TimeSpan.FromMilliseconds(250));
        dial.Open();
        await rent;
        Assert.Equal([$"0.25 pooled_tcp.connection.reused=false {MetricRig.Pool}"], await rig.ReadAsync(WaitTime, 1));
        Assert.Equal([$"0.25 {MetricRig.Pool}"], await rig.ReadAsync(CreateTime, 1));
    }

    [Fact]
    public async Task A_connection_handed_over_was_used_before()
    {
        await using MetricRig rig = new(static o => o.MaxConnections = 1);
        TcpLease lease = await rig.RentAsync();
        Task<TcpLease> waiting = rig.RentAsync();
        rig.Time.Advance(TimeSpan.FromSeconds(1.5));
        PoolHarness.Return(lease);
        PoolHarness.Return(await waiting);
        Assert.Equal(
            [$"0 pooled_tcp.connection.reused=false {MetricRig.Pool}", $"1.5 pooled_tcp.connection.reused=true {MetricRig.Pool}"],
            await rig.ReadAsync(WaitTime, 2));
        Assert.Equal([$"1.5 {MetricRig.Pool}", $"0 {MetricRig.Pool}"], await rig.ReadAsync(UseTime, 2));
    }

    [Fact]
    public async Task A_rent_that_timed_out_waited_in_vain()
    {
        await using MetricRig rig = new(static o => (o.MaxConnections, o.RentTimeout) = (1, TimeSpan.FromSeconds(2)));
        await rig.RentAsync();
        Task<TcpLease> waiting = rig.RentAsync();
        rig.Time.Advance(TimeSpan.FromSeconds(2));
        await Assert.ThrowsAsync<RentTimeoutException>(() => waiting);
        Assert.Equal($"2 error.type=acquire_timeout {MetricRig.Pool}", (await rig.ReadAsync(WaitTime, 2))[1]);
        Assert.Equal([$"1 {MetricRig.Pool}"], await rig.ReadAsync("pooled_tcp.connection.timeouts", 1));
    }

    [Fact]
    public async Task A_rent_that_was_cancelled_says_so()
    {
        await using MetricRig rig = new(static o => o.MaxConnections = 1);
        await rig.RentAsync();
        using CancellationTokenSource cancel = new();
        Task<TcpLease> waiting = rig.RentAsync(cancellationToken: cancel.Token);
        rig.Time.Advance(TimeSpan.FromMilliseconds(10));
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        Assert.Equal($"0.01 error.type=System.OperationCanceledException {MetricRig.Pool}", (await rig.ReadAsync(WaitTime, 2))[1]);
        Assert.Empty(rig.Read("pooled_tcp.connection.timeouts"));
    }

    [Fact]
    public async Task A_rent_that_the_queue_refused_did_not_wait()
    {
        await using MetricRig rig = new(static o => (o.MaxConnections, o.MaxWaiters) = (1, 1));
        await rig.RentAsync();
        Task<TcpLease> waiting = rig.RentAsync();
        await Assert.ThrowsAsync<PoolQueueFullException>(() => rig.RentAsync());
        Assert.Equal($"0 error.type=queue_full {MetricRig.Pool}", (await rig.ReadAsync(WaitTime, 2))[1]);
        Assert.False(waiting.IsCompleted);
    }

    [Fact]
    public async Task A_pool_that_closes_ends_the_wait()
    {
        await using MetricRig rig = new(automatic: false);
        Task<TcpLease> waiting = rig.RentAsync();
        rig.Time.Advance(TimeSpan.FromSeconds(1));
        await rig.Client.DisposeAsync();
        await Assert.ThrowsAsync<PoolClosedException>(() => waiting);
        Assert.Equal([$"1 error.type=pool_closed {MetricRig.Pool}"], await rig.ReadAsync(WaitTime, 1));
    }

    [Theory]
    [InlineData(SocketError.ConnectionRefused, "connection_refused")]
    [InlineData(SocketError.HostNotFound, "host_not_found")]
    [InlineData(SocketError.TimedOut, "timed_out")]
    [InlineData(SocketError.NetworkUnreachable, "network_unreachable")]
    [InlineData(SocketError.HostUnreachable, "host_unreachable")]
    [InlineData(SocketError.ConnectionReset, "connection_reset")]
    [InlineData(SocketError.TryAgain, "try_again")]
    [InlineData(SocketError.NoData, "no_data")]
    [InlineData(SocketError.AccessDenied, "access_denied")]
    [InlineData(SocketError.AddressNotAvailable, "address_not_available")]
    [InlineData(SocketError.AddressAlreadyInUse, "address_already_in_use")]
    [InlineData(SocketError.TooManyOpenSockets, "too_many_open_sockets")]
    [InlineData(SocketError.NoBufferSpaceAvailable, "no_buffer_space_available")]
    [InlineData(SocketError.SocketError, "socket_error")]
    public async Task A_failed_dial_carries_the_socket_error(SocketError code, string expected)
    {
        await using MetricRig rig = new(automatic: false);
        Task<TcpLease> rent = rig.RentAsync();
        FakeDial dial = await rig.Connector.NextAsync();
        rig.Time.Advance(TimeSpan.FromMilliseconds(5));
        dial.Fail(new SocketException((int)code));
        await Assert.ThrowsAsync<EndpointUnavailableException>(() => rent);
        Assert.Equal([$"0.005 error.type={expected} {MetricRig.Pool}"], await rig.ReadAsync(CreateTime, 1));
        Assert.Equal([$"0.005 error.type=endpoint_unavailable {MetricRig.Pool}"], await rig.ReadAsync(WaitTime, 1));
    }

    [Fact]
    public async Task Another_error_carries_its_type()
    {
        await using MetricRig rig = new(automatic: false);
        Task<TcpLease> rent = rig.RentAsync();
        (await rig.Connector.NextAsync()).Fail(new InvalidDataException("no"));
        await Assert.ThrowsAsync<EndpointUnavailableException>(() => rent);
        Assert.Equal([$"0 error.type=System.IO.InvalidDataException {MetricRig.Pool}"], await rig.ReadAsync(CreateTime, 1));
    }

    [Fact]
    public async Task A_dial_that_used_up_its_budget_is_a_timeout()
    {
        await using MetricRig rig = new(static o => o.ConnectTimeout = TimeSpan.FromSeconds(3), automatic: false);
        Task<TcpLease> rent = rig.RentAsync();
        await rig.Connector.NextAsync();
        rig.Time.Advance(TimeSpan.FromSeconds(3));
        await Assert.ThrowsAsync<EndpointUnavailableException>(() => rent);
        Assert.Equal([$"3 error.type=System.TimeoutException {MetricRig.Pool}"], await rig.ReadAsync(CreateTime, 1));
    }

    [Fact]
    public async Task A_dial_without_a_port_counts_as_exhaustion_and_so_does_the_rent_that_waited_for_one()
    {
        await using MetricRig rig = new(automatic: false);
        rig.Connector.Automatic = static _ => throw new NoLocalPortException("58 of 64 usable taken", new SocketException((int)SocketError.AddressNotAvailable));
        Task<TcpLease> rent = rig.RentAsync();
        Assert.Equal([$"1 {MetricRig.Pool}"], await rig.ReadAsync("pooled_tcp.port.exhausted", 1));
        Assert.Equal($"0 error.type=local_ports_exhausted {MetricRig.Pool}", (await rig.ReadAsync(CreateTime, 1))[0]);
        await rig.StepUntilAsync(() => rent.IsCompleted);
        await Assert.ThrowsAsync<LocalPortsExhaustedException>(() => rent);
        Assert.EndsWith($" error.type=local_ports_exhausted {MetricRig.Pool}", (await rig.ReadAsync(WaitTime, 1))[0], StringComparison.Ordinal);
        Assert.Equal([$"1 {MetricRig.Pool}"], await rig.ReadAsync("pooled_tcp.connection.timeouts", 1));
    }

    [Fact]
    public async Task A_lease_is_used_from_rent_to_return_however_it_ends()
    {
        await using MetricRig rig = new();
        TcpLease lease = await rig.RentAsync();
        rig.Time.Advance(TimeSpan.FromSeconds(2));
        PoolHarness.Return(lease);
        rig.Time.Advance(TimeSpan.FromSeconds(10));
        lease = await rig.RentAsync();
        rig.Time.Advance(TimeSpan.FromMilliseconds(1));
        lease.Dispose();
        Assert.Equal([$"2 {MetricRig.Pool}", $"0.001 {MetricRig.Pool}"], await rig.ReadAsync(UseTime, 2));
    }

    [Fact]
    public async Task A_connection_lasts_from_its_dial_to_its_close()
    {
        await using MetricRig rig = new();
        TcpLease lease = await rig.RentAsync();
        rig.Time.Advance(TimeSpan.FromSeconds(42));
        lease.Dispose();
        Assert.Equal([$"42 {MetricRig.Pool}"], await rig.ReadAsync("pooled_tcp.connection.duration", 1));
    }
}
