using PooledTcp.Configuration;
using PooledTcp.Connections;
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
    public async Task During_the_goodbye_it_leaves_the_answer_its_time_then_skips_the_graceful_step_and_its_token_returns()
    {
        CloseRig rig = new() { Settings = WithGoodbye };
        FakeTransport transport = new()
        {
            PeerHoldsOn = true,
            Facts = new() { State = TcpSocketState.Established, RoundTrip = TimeSpan.FromMilliseconds(20) },
        };
        Close close = rig.Start(transport);
        int changes = rig.Time.Changes;
        Assert.True(close.Run.TryEscalate());
        await PoolHarness.UntilAsync(() => rig.Time.Changes > changes);
        rig.Time.Advance(TimeSpan.FromMilliseconds(59));
        Assert.False(close.IsDone);
        rig.Time.Advance(TimeSpan.FromMilliseconds(1));
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

    [Fact]
    public async Task Where_quiet_is_off_what_is_left_is_an_abort_if_that_is_allowed()
    {
        CloseRig rig = new(tokens: 0) { Settings = ServerFirst with { AllowQuietClose = false, AllowAbort = true } };
        Close close = rig.Start(new FakeTransport { PeerHoldsOn = true });
        Assert.True(close.Run.TryEscalate());
        Assert.Equal(CloseMethod.Abort, (await close.EndAsync()).Method);
        Assert.Equal("wait abort", close.Transport.Moves);
        rig.AssertSettled();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Where_quiet_is_off_or_missing_a_graceful_close_is_not_cut_for_that_would_be_a_quiet_one(bool missing)
    {
        CloseRig rig = new(tokens: 0) { Settings = ServerFirst with { AllowQuietClose = missing } };
        Close close = rig.Start(new FakeTransport { PeerHoldsOn = true, QuietSupported = !missing });
        Assert.True(close.Run.TryEscalate());
        await close.ReachesAsync("wait limit drain fin wait");
        Assert.False(close.IsDone);
        close.Transport.PeerCloses();
        Assert.Equal(new CloseOutcome(CloseMethod.Graceful, PeerFirst: false, TimeWaitIsOurs: true), await close.EndAsync());
        Assert.True(close.Run.ExceededShare);
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
