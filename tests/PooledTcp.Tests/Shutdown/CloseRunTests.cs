using PooledTcp.Connections;
using PooledTcp.Shutdown;
using PooledTcp.Tests.Connections;
using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Shutdown;

/// <summary>Each method's moves in their order, each deadline, and what becomes of the token on every way out.</summary>
public sealed class CloseRunTests
{
    private static readonly TimeSpan GoodbyeTimeout = TestSettings.Shutdown.GoodbyeTimeout;
    private static readonly TimeSpan DrainTimeout = TestSettings.Shutdown.DrainTimeout;
    private static readonly TimeSpan ServerCloseTimeout = TestSettings.Shutdown.ServerCloseTimeout;
    private static readonly TimeSpan Tick = TimeSpan.FromTicks(1);

    [Fact]
    public async Task Graceful_limits_and_drains_before_its_fin_and_reads_to_the_peers()
    {
        CloseRig rig = new();
        Close close = rig.Start(new FakeTransport());
        Assert.Equal(new CloseOutcome(CloseMethod.Graceful, PeerFirst: false, TimeWaitIsOurs: true), await close.EndAsync());
        Assert.Equal("limit drain fin wait close", close.Transport.Moves);
        rig.AssertSettled(owed: 1);
    }

    [Fact]
    public async Task Graceful_that_the_peers_own_fin_crossed_owes_nothing_and_gives_its_token_back()
    {
        CloseRig rig = new();
        Close close = rig.Start(new FakeTransport { LeftTimeWait = false });
        Assert.Equal(new CloseOutcome(CloseMethod.Graceful, PeerFirst: true, TimeWaitIsOurs: false), await close.EndAsync());
        rig.AssertSettled();
    }

    [Fact]
    public async Task Quiet_sets_the_option_before_its_fin_and_never_waits_for_the_peers()
    {
        CloseRig rig = new(tokens: 0);
        Close close = rig.Start(new FakeTransport { PeerHoldsOn = true });
        Assert.Equal(new CloseOutcome(CloseMethod.Quiet, PeerFirst: false, TimeWaitIsOurs: false), await close.EndAsync());
        Assert.Equal("limit drain forget close", close.Transport.Moves);
        rig.AssertSettled();
    }

    [Theory]
    [InlineData(0, "close_notify drain forget close")]
    [InlineData(1, "close_notify drain fin wait close")]
    public async Task On_TLS_close_notify_goes_before_our_fin(int tokens, string moves)
    {
        // Bytes are still unacknowledged: that rules out close_notify as a goodbye, and DrainTimeout as their limit.
        CloseRig rig = new(tokens);
        Close close = rig.Start(new FakeTransport { IsTls = true, Facts = new() { State = TcpSocketState.Established, HasUnsent = true } });
        await close.EndAsync();
        Assert.Equal(moves, close.Transport.Moves);
        rig.AssertSettled(owed: tokens);
    }

    [Fact]
    public async Task On_TLS_close_notify_is_a_goodbye_of_its_own()
    {
        CloseRig rig = new();
        Close close = rig.Start(new FakeTransport { IsTls = true });
        Assert.Equal(new CloseOutcome(CloseMethod.Goodbye, PeerFirst: true, TimeWaitIsOurs: false), await close.EndAsync());
        Assert.Equal("close_notify wait limit drain close", close.Transport.Moves);
        rig.AssertSettled();
    }

    [Fact]
    public async Task A_stuck_close_notify_holds_a_quiet_close_for_DrainTimeout_and_no_longer()
    {
        CloseRig rig = new(tokens: 0);
        Close close = rig.Start(
            new FakeTransport { IsTls = true, HoldFarewells = true, Facts = new() { State = TcpSocketState.Established, HasUnsent = true } });
        rig.Time.Advance(DrainTimeout - Tick);
        Assert.Equal("close_notify", close.Transport.Moves);
        rig.Time.Advance(Tick);
        Assert.Equal(CloseMethod.Quiet, (await close.EndAsync()).Method);
        Assert.Equal("close_notify drain forget close", close.Transport.Moves);
        rig.AssertSettled();
    }

    [Fact]
    public async Task Goodbye_leaves_the_peer_its_TIME_WAIT()
    {
        CloseRig rig = new() { Settings = TestSettings.Shutdown with { Goodbye = CloseRig.Farewell } };
        Close close = rig.Start(new FakeTransport { PeerHoldsOn = true });
        Assert.Equal("farewell wait", close.Transport.Moves);
        close.Transport.PeerCloses();
        Assert.Equal(new CloseOutcome(CloseMethod.Goodbye, PeerFirst: true, TimeWaitIsOurs: false), await close.EndAsync());
        Assert.Equal("farewell wait limit drain close", close.Transport.Moves);
        rig.AssertSettled();
    }

    [Fact]
    public async Task Each_deadline_passes_on_to_the_next_method_of_the_chain()
    {
        CloseRig rig = new() { Settings = TestSettings.Shutdown with { Goodbye = CloseRig.Farewell } };
        Close close = rig.Start(new FakeTransport { PeerHoldsOn = true });
        rig.Time.Advance(GoodbyeTimeout - Tick);
        Assert.Equal("farewell wait", close.Transport.Moves);
        Assert.Equal(0, rig.Use.Promised);

        rig.Time.Advance(Tick);
        await close.ReachesAsync("farewell wait limit drain fin wait");
        Assert.Equal(1, rig.Use.Promised);
        rig.Time.Advance(DrainTimeout - Tick);
        Assert.False(close.IsDone);

        // No FIN came: nothing is owed, and the token returns at once.
        rig.Time.Advance(Tick);
        Assert.Equal(new CloseOutcome(CloseMethod.Graceful, PeerFirst: false, TimeWaitIsOurs: false), await close.EndAsync());
        Assert.Equal("farewell wait limit drain fin wait forget close", close.Transport.Moves);
        rig.AssertSettled();
    }

    [Fact]
    public async Task A_graceful_close_out_of_time_pays_for_the_TIME_WAIT_that_the_kernel_has_all_the_same()
    {
        CloseRig rig = new();
        Close close = rig.Start(new FakeTransport { PeerHoldsOn = true, LeftTimeWait = true });
        rig.Time.Advance(DrainTimeout);
        Assert.True((await close.EndAsync()).TimeWaitIsOurs);
        rig.AssertSettled(owed: 1);
    }

    [Fact]
    public async Task A_goodbye_whose_token_went_to_another_meanwhile_ends_quietly()
    {
        CloseRig rig = new() { Settings = TestSettings.Shutdown with { Goodbye = CloseRig.Farewell } };
        Close close = rig.Start(new FakeTransport { PeerHoldsOn = true });
        Assert.True(rig.Tokens.TryTake());
        rig.Time.Advance(GoodbyeTimeout);
        Assert.Equal(CloseMethod.Quiet, (await close.EndAsync()).Method);
        rig.Tokens.GiveBack();
        rig.AssertSettled();
    }

    [Fact]
    public async Task A_farewell_that_cannot_leave_ends_with_GoodbyeTimeout_too()
    {
        CloseRig rig = new(tokens: 0) { Settings = TestSettings.Shutdown with { Goodbye = CloseRig.Farewell } };
        Close close = rig.Start(new FakeTransport { HoldFarewells = true });
        rig.Time.Advance(GoodbyeTimeout);
        Assert.Equal(CloseMethod.Quiet, (await close.EndAsync()).Method);
        Assert.Equal("farewell limit drain forget close", close.Transport.Moves);
    }

    [Fact]
    public async Task Server_first_without_a_farewell_waits_outside_the_lane_then_is_quiet()
    {
        CloseRig rig = new(places: 1) { Settings = TestSettings.Shutdown with { ClosesFirst = ClosesFirst.Server } };
        Close close = rig.Start(new FakeTransport { PeerHoldsOn = true });
        Assert.Equal("wait", close.Transport.Moves);
        Assert.True(rig.Lane.TryEnter());
        rig.Lane.Leave();

        rig.Time.Advance(ServerCloseTimeout - Tick);
        Assert.Equal("wait", close.Transport.Moves);
        rig.Time.Advance(Tick);
        Assert.Equal(CloseMethod.Quiet, (await close.EndAsync()).Method);
        rig.AssertSettled();
    }

    [Fact]
    public async Task The_servers_own_close_is_passive()
    {
        CloseRig rig = new() { Settings = TestSettings.Shutdown with { ClosesFirst = ClosesFirst.Server } };
        Close close = rig.Start(new FakeTransport { PeerHoldsOn = true });
        close.Transport.PeerCloses();
        Assert.Equal(new CloseOutcome(CloseMethod.Passive, PeerFirst: true, TimeWaitIsOurs: false), await close.EndAsync());
        rig.AssertSettled();
    }

    [Fact]
    public async Task Client_first_waits_for_its_token_outside_the_lane_until_a_TIME_WAIT_has_run_out()
    {
        CloseRig rig = new(tokens: 1, places: 1) { Settings = TestSettings.Shutdown with { ClosesFirst = ClosesFirst.Client } };
        await rig.Start(new FakeTransport()).EndAsync();
        Close close = rig.Start(new FakeTransport { PeerHoldsOn = true, LeftTimeWait = true });
        Assert.Equal("wait", close.Transport.Moves);
        Assert.True(rig.Lane.TryEnter());
        rig.Lane.Leave();

        for (TimeSpan passed = TimeSpan.Zero; passed < CloseRig.TimeWaitHold; passed += TimeSpan.FromSeconds(1))
        {
            Assert.False(close.IsDone);
            await PoolHarness.UntilAsync(() => rig.Time.ArmedTimers == 1);
            rig.Time.Advance(TimeSpan.FromSeconds(1));
        }

        await PoolHarness.UntilAsync(() => close.IsDone || rig.Time.ArmedTimers == 1);
        rig.Time.Advance(TimeSpan.FromMilliseconds(1));
        await close.ReachesAsync("wait limit drain fin wait");
        close.Transport.PeerCloses();
        Assert.True((await close.EndAsync()).TimeWaitIsOurs);
        rig.AssertSettled(owed: 1);
    }

    [Fact]
    public async Task Two_client_first_closes_that_see_one_token_never_end_quietly()
    {
        CloseRig rig = new(tokens: 1) { Settings = TestSettings.Shutdown with { ClosesFirst = ClosesFirst.Client } };

        // The farewell is asked for before the decision: there the other one takes the token that was in sight.
        Close first = rig.Start(new FakeTransport { PeerHoldsOn = true });
        Close second = rig.Start(new FakeTransport { PeerHoldsOn = true });
        Assert.Equal("limit drain fin wait", first.Transport.Moves);
        Assert.Equal("wait", second.Transport.Moves);
        first.Transport.PeerCloses();
        await first.EndAsync();
        for (int i = 0; i < 200 && !second.Transport.Moves.Contains("fin", StringComparison.Ordinal); i++)
        {
            await PoolHarness.UntilAsync(() => rig.Time.ArmedTimers == 1);
            rig.Time.Advance(TimeSpan.FromSeconds(1));
        }

        second.Transport.PeerCloses();
        Assert.Equal(CloseMethod.Graceful, (await second.EndAsync()).Method);
    }

    [Fact]
    public async Task Client_first_takes_no_token_for_a_peer_that_closes_while_it_waits_for_one()
    {
        CloseRig rig = new(tokens: 1) { Settings = TestSettings.Shutdown with { ClosesFirst = ClosesFirst.Client } };
        await rig.Start(new FakeTransport()).EndAsync();
        Close close = rig.Start(new FakeTransport { PeerHoldsOn = true });
        close.Transport.PeerCloses();
        Assert.Equal(new CloseOutcome(CloseMethod.Passive, PeerFirst: true, TimeWaitIsOurs: false), await close.EndAsync());
        Assert.Equal("wait limit drain close", close.Transport.Moves);
        rig.AssertSettled(owed: 1);
    }

    [Fact]
    public async Task With_the_peers_window_full_no_close_notify_is_begun()
    {
        // SslStream could not be told to give it up, and a close over a send that is pending is an RST.
        CloseRig rig = new(tokens: 0);
        Close close = rig.Start(new FakeTransport { IsTls = true, IsWritable = false });
        Assert.Equal(CloseMethod.Quiet, (await close.EndAsync()).Method);
        Assert.Equal("limit drain forget close", close.Transport.Moves);
        rig.AssertSettled();
    }

    [Fact]
    public async Task A_goodbye_out_of_time_whose_answer_crossed_our_fin_owes_the_TIME_WAIT_that_the_kernel_shows_later()
    {
        CloseRig rig = new(tokens: 0) { Settings = TestSettings.Shutdown with { Goodbye = CloseRig.Farewell } };
        Close close = rig.Start(new FakeTransport { PeerHoldsOn = true, LeftTimeWait = true });
        rig.Time.Advance(GoodbyeTimeout);
        Assert.Equal(new CloseOutcome(CloseMethod.Quiet, PeerFirst: false, TimeWaitIsOurs: false), await close.EndAsync());

        // Its place is given away already; its port is not.
        Assert.Equal(1, rig.Use.Closing);
        rig.AssertSettled(owed: 1);
    }

    [Fact]
    public async Task A_peer_that_closed_over_unread_bytes_counts_as_dirty()
    {
        CloseRig rig = new();
        Close close = rig.Start(new FakeTransport { Facts = new() { State = TcpSocketState.CloseWait, HasUnread = true } });
        Assert.Equal(CloseMethod.Passive, (await close.EndAsync()).Method);
        Assert.Equal((CloseReason.IdleTimeout, CloseReason.ReturnedDirty), (close.Run.GivenReason, close.Run.Reason));
    }

    [Theory]
    [InlineData(TcpSocketState.CloseWait, "limit drain close", "Passive", true)]
    [InlineData(TcpSocketState.Close, "close", "Dispose", true)]
    public async Task What_the_peer_ended_just_closes(object state, string moves, string method, bool peerFirst)
    {
        CloseRig rig = new();
        Close close = rig.Start(new FakeTransport { Facts = new() { State = (TcpSocketState)state } });
        CloseOutcome outcome = await close.EndAsync();
        Assert.Equal((method, peerFirst, false), (outcome.Method.ToString(), outcome.PeerFirst, outcome.TimeWaitIsOurs));
        Assert.Equal(moves, close.Transport.Moves);
        rig.AssertSettled();
    }

    [Fact]
    public async Task A_unix_socket_is_just_closed_and_not_by_its_peer()
    {
        CloseRig rig = new();
        Close close = rig.Start(new FakeTransport { IsUnix = true });
        Assert.Equal(new CloseOutcome(CloseMethod.Dispose, PeerFirst: false, TimeWaitIsOurs: false), await close.EndAsync());
        Assert.Equal("close", close.Transport.Moves);
    }

    [Fact]
    public async Task Out_of_step_is_reset()
    {
        CloseRig rig = new();
        Close close = rig.Start(new FakeTransport { IsTls = true }, CloseReason.Faulted);
        Assert.Equal(new CloseOutcome(CloseMethod.Abort, PeerFirst: false, TimeWaitIsOurs: false), await close.EndAsync());
        Assert.Equal("abort", close.Transport.Moves);
        rig.AssertSettled();
    }

    [Fact]
    public async Task Interrupted_under_its_lease_it_was_aborted_by_us_and_closed_once()
    {
        CloseRig rig = new();
        Close close = rig.New(new FakeTransport(), CloseReason.Cleared);
        close.Connection.Interrupt(CloseReason.Cleared);
        close.Run.Execute();
        Assert.Equal(new CloseOutcome(CloseMethod.Abort, PeerFirst: false, TimeWaitIsOurs: false), await close.EndAsync());
        rig.AssertSettled();
    }

    [Theory]
    [InlineData("facts", 0)]
    [InlineData("limit", 1)]
    [InlineData("drain", 1)]
    [InlineData("fin", 1)]
    [InlineData("wait", 1)]
    public async Task A_move_that_throws_leaves_no_descriptor_no_token_and_no_lane_place(string move, int timeWaits)
    {
        CloseRig rig = new(tokens: 1, places: 1);
        Close close = rig.Start(new FakeTransport { ThrowsAt = move, LeftTimeWait = timeWaits > 0 });
        CloseOutcome outcome = await close.EndAsync();

        // What it left is asked of the kernel; a token pays for it if it had one.
        Assert.Equal((CloseMethod.Dispose, timeWaits > 0), (outcome.Method, outcome.TimeWaitIsOurs));
        rig.AssertSettled(owed: timeWaits);
        Assert.True(rig.Lane.TryEnter());
    }

    [Fact]
    public async Task A_goodbye_from_code_that_throws_is_none()
    {
        CloseRig rig = new(tokens: 0) { Goodbye = static _ => throw new InvalidOperationException("user code"), Settings = TestSettings.Shutdown with { Goodbye = CloseRig.Farewell } };
        Close close = rig.Start(new FakeTransport());
        Assert.Equal(CloseMethod.Quiet, (await close.EndAsync()).Method);
        rig.AssertSettled();
    }

    [Fact]
    public async Task A_goodbye_from_code_goes_before_the_configured_one_and_knows_the_session()
    {
        object session = new();
        object? seen = null;
        CloseRig rig = new();
        rig.Goodbye = s =>
        {
            seen = s;
            return "BYE"u8.ToArray();
        };
        Close close = rig.New(new FakeTransport());
        close.Connection.Session = session;
        close.Run.Execute();
        Assert.Equal(CloseMethod.Goodbye, (await close.EndAsync()).Method);
        Assert.Same(session, seen);
    }
}
