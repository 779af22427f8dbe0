using PooledTcp.Tests.Fakes;
using Xunit;
using static PooledTcp.Tests.Fakes.ReusedExchange;

namespace PooledTcp.Tests;

/// <summary>ExecuteAsync runs an exchange once more, on a new connection, and only where that is safe.</summary>
public sealed class ExchangeRetryTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task An_idempotent_exchange_whose_reused_connection_fails_runs_again_on_a_new_one(bool atTheEndOfTheStream)
    {
        (PoolHarness harness, FakeTransport used) = await WarmAsync();
        await using PoolHarness pool = harness;
        Fail(used, atTheEndOfTheStream);
        Task<long> exchange = pool.Pool.ExecuteAsync(AskAsync, true, Idempotent).AsTask();
        (await pool.Connector.NextAsync()).Open(Answering());
        Assert.True(await exchange.WaitAsync(PoolHarness.Hang) > 0);
        Assert.True(used.IsClosed);
        Assert.Equal(1, pool.Now.Retries);
        Assert.Equal(1, pool.Now.ClosedByReason[atTheEndOfTheStream ? "peer_closed" : "faulted"]);
        pool.AssertCounts(idle: 1, used: 0, waiting: 0);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task One_that_had_not_begun_to_send_runs_again_without_being_idempotent(bool atTheEndOfTheStream)
    {
        (PoolHarness harness, FakeTransport used) = await WarmAsync();
        await using PoolHarness pool = harness;
        Fail(used, atTheEndOfTheStream);
        Task exchange = pool.Pool.ExecuteAsync(static async (lease, asks, token) => { _ = await AskAsync(lease, asks, token); }, false).AsTask();
        (await pool.Connector.NextAsync()).Open(Answering());
        await exchange.WaitAsync(PoolHarness.Hang);
        Assert.Equal(1, pool.Now.Retries);
    }

    [Fact]
    public async Task One_that_began_to_send_and_is_not_idempotent_does_not()
    {
        (PoolHarness harness, FakeTransport used) = await WarmAsync();
        await using PoolHarness pool = harness;
        used.Fault = Reset();
        await Assert.ThrowsAsync<ConnectionFaultedException>(() => pool.Pool.ExecuteAsync(AskAsync, true).AsTask());
        AssertNotRetried(pool);
    }

    [Fact]
    public async Task Nor_one_that_got_a_byte_of_the_reply()
    {
        (PoolHarness harness, FakeTransport used) = await WarmAsync();
        await using PoolHarness pool = harness;
        used.Feed("!");
        await Assert.ThrowsAsync<ConnectionFaultedException>(() => pool.Pool.ExecuteAsync(
            static async (lease, transport, token) =>
            {
                long id = await AskAsync(lease, asks: true, token);
                transport.Fault = Reset();
                return id + await lease.ReceiveAsync(new byte[1], token);
            },
            used,
            Idempotent).AsTask());
        AssertNotRetried(pool);
    }

    [Fact]
    public async Task Nor_one_that_failed_on_a_new_connection()
    {
        await using PoolHarness pool = new();
        Task<long> exchange = pool.Pool.ExecuteAsync(AskAsync, true, Idempotent).AsTask();
        (await pool.Connector.NextAsync()).Open(new FakeTransport { Fault = Reset() });
        await Assert.ThrowsAsync<ConnectionFaultedException>(() => exchange.WaitAsync(PoolHarness.Hang));
        AssertNotRetried(pool);
    }

    [Fact]
    public async Task The_second_failure_is_the_callers()
    {
        (PoolHarness harness, FakeTransport used) = await WarmAsync();
        await using PoolHarness pool = harness;
        used.Fault = Reset();
        Task<long> exchange = pool.Pool.ExecuteAsync(AskAsync, true, Idempotent).AsTask();
        (await pool.Connector.NextAsync()).Open(new FakeTransport { Fault = Reset() });
        ConnectionFaultedException e = await Assert.ThrowsAsync<ConnectionFaultedException>(() => exchange.WaitAsync(PoolHarness.Hang));
        Assert.False(e.IsReused);
        Assert.Equal(1, pool.Now.Retries);
        Assert.False(pool.Connector.TryNext(out _));
        pool.AssertCounts(idle: 0, used: 0, connecting: 0, waiting: 0);
    }

    [Fact]
    public async Task An_error_of_the_protocol_is_no_reason()
    {
        (PoolHarness harness, _) = await WarmAsync();
        await using PoolHarness pool = harness;
        await Assert.ThrowsAsync<InvalidDataException>(() => pool.Pool.ExecuteAsync<int, long>(
            static (_, _, _) => throw new InvalidDataException("before a byte was sent"), 0, Idempotent).AsTask());
        AssertNotRetried(pool);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Neither_is_a_cancellation(bool byTheDelegateItself)
    {
        (PoolHarness harness, FakeTransport used) = await WarmAsync();
        await using PoolHarness pool = harness;
        using CancellationTokenSource cancel = new();
        Task<long> exchange = pool.Pool.ExecuteAsync(
            static (lease, own, token) => AskAsync(lease, asks: true, own.CanBeCanceled ? own : token),
            byTheDelegateItself ? cancel.Token : default,
            Idempotent,
            byTheDelegateItself ? default : cancel.Token).AsTask();
        await PoolHarness.UntilAsync(() => used.PendingBuffer.Length > 0);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => exchange.WaitAsync(PoolHarness.Hang));
        AssertNotRetried(pool);
    }

    [Fact]
    public async Task A_delegate_that_disposed_its_lease_is_not_run_again()
    {
        (PoolHarness harness, FakeTransport used) = await WarmAsync();
        await using PoolHarness pool = harness;
        used.Fault = Reset();
        await Assert.ThrowsAsync<ConnectionFaultedException>(() => pool.Pool.ExecuteAsync(
            static async (lease, _, token) =>
            {
                try
                {
                    return await AskAsync(lease, asks: true, token);
                }
                finally
                {
                    lease.Dispose();
                }
            },
            0,
            Idempotent).AsTask());
        AssertNotRetried(pool);
    }

    private static void Fail(FakeTransport used, bool atTheEndOfTheStream)
    {
        if (atTheEndOfTheStream)
        {
            used.EndOfStream();
        }
        else
        {
            used.Fault = Reset();
        }
    }
}
