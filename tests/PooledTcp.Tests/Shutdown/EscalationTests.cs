using PooledTcp.Configuration;
using PooledTcp.Shutdown;
using PooledTcp.Tests.Connections;
using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Shutdown;

/// <summary>Somebody needs the place or the port of a closing connection: at every stage of the close.</summary>
public sealed class EscalationTests
{
    private static readonly ShutdownSettings ServerFirst = TestSettings.Shutdown with { ClosesFirst = ClosesFirst.Server };
    private static readonly ShutdownSettings WithGoodbye = TestSettings.Shutdown with { Goodbye = CloseRig.Farewell };

    [Fact]
    public async Task Before_the_start_it_skips_every_wait()
    {
        CloseRig rig = new() { Settings = WithGoodbye };
        Close close = rig.New(new FakeTransport { PeerHoldsOn = true });
        Assert.True(close.Run.TryEscalate());
        close.Run.Execute();
        Assert.Equal(CloseMethod.Quiet, (await close.EndAsync()).Method);
        Assert.Equal("limit drain forget close", close.Transport.Moves);
        rig.AssertSettled();
    }

    [Fact]
    public async Task While_waiting_for_the_server_it_becomes_quiet()
    {
        CloseRig rig = new() { Settings = ServerFirst };
        Close close = rig.Start(new FakeTransport { PeerHoldsOn = true });
        Assert.True(close.Run.TryEscalate());
        Assert.Equal(CloseMethod.Quiet, (await close.EndAsync()).Method);
        rig.AssertSettled();
    }

    [Fact]
    public async Task During_the_goodbye_it_skips_the_graceful_step_and_its_token_returns()
    {
        CloseRig rig = new() { Settings = WithGoodbye };
        Close close = rig.Start(new FakeTransport { PeerHoldsOn = true });
        Assert.True(close.Run.TryEscalate());
        Assert.Equal(CloseMethod.Quiet, (await close.EndAsync()).Method);
        Assert.Equal("farewell wait limit drain forget close", close.Transport.Moves);
        rig.AssertSettled();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task After_our_fin_the_kernel_says_what_is_owed(bool leftTimeWait)
    {
        CloseRig rig = new();
        Close close = rig.Start(new FakeTransport { PeerHoldsOn = true, LeftTimeWait = leftTimeWait });
        Assert.Equal("limit drain fin wait", close.Transport.Moves);
        Assert.True(close.Run.TryEscalate());
        Assert.Equal(new CloseOutcome(CloseMethod.Graceful, PeerFirst: false, leftTimeWait), await close.EndAsync());
        Assert.Equal("limit drain fin wait forget close", close.Transport.Moves);
        rig.AssertSettled(owed: leftTimeWait ? 1 : 0);
    }

    [Fact]
    public async Task A_second_one_finds_that_it_gives_way_already_and_moves_nothing()
    {
        CloseRig rig = new() { Settings = ServerFirst };
        Close close = rig.Start(new FakeTransport { PeerHoldsOn = true });
        Assert.True(close.Run.TryEscalate());
        Assert.True(close.Run.TryEscalate());
        await close.EndAsync();
        Assert.True(close.Run.TryEscalate());
        rig.AssertSettled();
    }

    [Fact]
    public async Task Under_client_first_never()
    {
        CloseRig rig = new() { Settings = TestSettings.Shutdown with { ClosesFirst = ClosesFirst.Client } };
        Close close = rig.Start(new FakeTransport { PeerHoldsOn = true });
        Assert.False(close.Run.TryEscalate());
        Assert.False(close.IsDone);
        close.Transport.PeerCloses();
        Assert.True((await close.EndAsync()).TimeWaitIsOurs);
    }

    [Theory]
    [InlineData(false, "wait limit drain fin wait forget close", "Graceful")]
    [InlineData(true, "wait abort", "Abort")]
    public async Task Without_quiet_the_plans_last_resort_comes_at_once(bool allowAbort, string moves, string method)
    {
        CloseRig rig = new(tokens: 0) { Settings = ServerFirst with { AllowQuietClose = false, AllowAbort = allowAbort } };
        Close close = rig.Start(new FakeTransport { PeerHoldsOn = true });
        Assert.True(close.Run.TryEscalate());
        CloseOutcome outcome = await close.EndAsync();
        Assert.Equal(method, outcome.Method.ToString());
        Assert.Equal(moves, close.Transport.Moves);
        rig.AssertSettled();
    }

    [Fact]
    public async Task Where_the_platform_lacks_quiet_a_TIME_WAIT_without_a_token_is_owed_all_the_same()
    {
        CloseRig rig = new(tokens: 0) { Settings = ServerFirst };
        Close close = rig.Start(new FakeTransport { PeerHoldsOn = true, QuietSupported = false, LeftTimeWait = true });
        Assert.True(close.Run.TryEscalate());
        Assert.True((await close.EndAsync()).TimeWaitIsOurs);
        rig.AssertSettled(owed: 1);
    }

    [Fact]
    public async Task A_shutdown_ends_the_wait_for_the_server_and_nothing_else()
    {
        CloseRig rig = new();
        rig.Settings = ServerFirst;
        Close waiting = rig.Start(new FakeTransport { PeerHoldsOn = true });
        Close waitingLater = rig.New(new FakeTransport { PeerHoldsOn = true });
        rig.Settings = WithGoodbye;
        Close saying = rig.Start(new FakeTransport { PeerHoldsOn = true }, CloseReason.PoolShutdown);

        waiting.Run.Hurry();
        waitingLater.Run.Hurry();
        saying.Run.Hurry();
        waitingLater.Run.Execute();

        Assert.Equal(CloseMethod.Quiet, (await waiting.EndAsync()).Method);
        Assert.Equal(CloseMethod.Quiet, (await waitingLater.EndAsync()).Method);
        Assert.False(saying.IsDone);
        saying.Transport.PeerCloses();
        Assert.Equal(CloseMethod.Goodbye, (await saying.EndAsync()).Method);
        rig.AssertSettled();
    }
}
