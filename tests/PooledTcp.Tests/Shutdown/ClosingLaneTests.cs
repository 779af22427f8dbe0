using PooledTcp.Connections;
using PooledTcp.Shutdown;
using PooledTcp.Tests.Connections;
using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Shutdown;

/// <summary>Its places: never one too many, in the order of asking, and none lost.</summary>
public sealed class ClosingLaneTests
{
    [Fact]
    public async Task Who_waits_is_served_in_order_and_nobody_overtakes()
    {
        ClosingLane lane = new(1);
        Assert.True(lane.TryEnter());
        Task[] waiting = [.. Enumerable.Range(0, 3).Select(_ => lane.EnterAsync().AsTask())];
        foreach (Task next in waiting)
        {
            Assert.DoesNotContain(waiting.SkipWhile(w => w != next), static w => w.IsCompleted);
            Assert.False(lane.TryEnter());
            lane.Leave();
            await next.WaitAsync(PoolHarness.Hang, TestContext.Current.CancellationToken);
        }

        lane.Leave();
        Assert.True(lane.TryEnter());
        Assert.False(lane.TryEnter());
    }

    [Fact]
    public async Task Resized_it_serves_who_waits_and_takes_back_what_it_lent()
    {
        ClosingLane lane = new(1);
        Assert.True(lane.TryEnter());
        Task first = lane.EnterAsync().AsTask();
        Task second = lane.EnterAsync().AsTask();
        lane.Resize(+1);
        await first.WaitAsync(PoolHarness.Hang, TestContext.Current.CancellationToken);
        Assert.False(second.IsCompleted);

        lane.Resize(-1);
        lane.Leave();
        Assert.False(second.IsCompleted);
        lane.Leave();
        await second.WaitAsync(PoolHarness.Hang, TestContext.Current.CancellationToken);
        Assert.False(lane.TryEnter());
    }

    [Fact]
    public async Task Hammered_by_threads_and_resizes_it_never_holds_too_many_and_serves_everyone()
    {
        const int Threads = 8;
        const int Rounds = 4000;
        const int Most = 3;
        ClosingLane lane = new(1);
        int inside = 0;
        int tooMany = 0;
        int entered = 0;
        Task[] workers = [.. Enumerable.Range(0, Threads).Select(worker => Task.Run(async () =>
        {
            Random random = new(worker);
            for (int round = 0; round < Rounds; round++)
            {
                if (random.Next(2) == 0 || !lane.TryEnter())
                {
                    await lane.EnterAsync();
                }

                // At least one place is always there, and never more than the most it was ever resized to.
                if (Interlocked.Increment(ref inside) > Most)
                {
                    Interlocked.Increment(ref tooMany);
                }

                Interlocked.Increment(ref entered);
                if (random.Next(8) == 0)
                {
                    await Task.Yield();
                }

                Interlocked.Decrement(ref inside);
                lane.Leave();
            }
        }))];
        Task all = Task.WhenAll(workers);
        while (!all.IsCompleted)
        {
            lane.Resize(Most - 1);
            await Task.Yield();
            lane.Resize(1 - Most);
            await Task.Yield();
        }

        await all.WaitAsync(PoolHarness.Hang, TestContext.Current.CancellationToken);
        Assert.Equal(0, tooMany);
        Assert.Equal(Threads * Rounds, entered);
        Assert.True(lane.TryEnter());
        Assert.False(lane.TryEnter());
    }

    [Fact]
    public async Task Full_it_makes_a_close_quiet_at_once()
    {
        CloseRig rig = new(places: 1) { Settings = TestSettings.Shutdown with { Goodbye = CloseRig.Farewell } };
        Close first = rig.Start(new FakeTransport { PeerHoldsOn = true });
        Close second = rig.Start(new FakeTransport { PeerHoldsOn = true });
        Assert.Equal(CloseMethod.Quiet, (await second.EndAsync()).Method);
        Assert.False(first.IsDone);
        first.Transport.PeerCloses();
        await first.EndAsync();
        rig.AssertSettled();
    }

    [Fact]
    public async Task Full_it_lets_client_first_queue_with_its_token()
    {
        CloseRig rig = new(tokens: 2, places: 1) { Settings = TestSettings.Shutdown with { ClosesFirst = ClosesFirst.Client } };
        Close first = rig.Start(new FakeTransport { PeerHoldsOn = true });
        Close second = rig.Start(new FakeTransport());
        Assert.Equal("", second.Transport.Moves);
        Assert.Equal(2, rig.Use.Promised);
        first.Transport.PeerCloses();
        Assert.True((await first.EndAsync()).TimeWaitIsOurs);
        Assert.True((await second.EndAsync()).TimeWaitIsOurs);
        rig.AssertSettled(owed: 2);
    }

    [Theory]
    [InlineData(CloseReason.Faulted, TcpSocketState.Established, "Abort")]
    [InlineData(CloseReason.IdleTimeout, TcpSocketState.CloseWait, "Passive")]
    [InlineData(CloseReason.IdleTimeout, TcpSocketState.Close, "Dispose")]
    public async Task Full_it_changes_nothing_about_a_close_that_takes_no_time(object reason, object state, string method)
    {
        CloseRig rig = new(places: 0);
        Close close = rig.Start(new FakeTransport { Facts = new() { State = (TcpSocketState)state } }, (CloseReason)reason);
        Assert.Equal(method, (await close.EndAsync()).Method.ToString());
        Assert.False(rig.Lane.TryEnter());
    }
}
