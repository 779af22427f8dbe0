using PooledTcp.Ports;
using PooledTcp.Shutdown;
using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Shutdown;

/// <summary>How many TIME-WAITs a close may cause, and when one may follow.</summary>
public sealed class PortTokensTests
{
    [Fact]
    public void A_limit_of_zero_never_grants()
    {
        CloseRig rig = new(tokens: 0);
        Assert.False(rig.Tokens.IsAvailable);
        Assert.False(rig.Tokens.TryTake());
        rig.Time.Advance(TimeSpan.FromHours(1));
        Assert.False(rig.Tokens.TryTake());
    }

    [Fact]
    public async Task A_token_is_back_exactly_when_its_TIME_WAIT_has_run_out()
    {
        CloseRig rig = new(tokens: 1);
        rig.Time.Advance(TimeSpan.FromSeconds(5));
        await rig.Start(new FakeTransport()).EndAsync();
        Assert.Equal(TimeSpan.FromSeconds(65.2), KernelPortSettings.Unknown.TimeWaitHold);

        rig.Time.Advance(CloseRig.TimeWaitHold - TimeSpan.FromTicks(1));
        Assert.False(rig.Tokens.IsAvailable);
        Assert.False(rig.Tokens.TryTake());
        rig.Time.Advance(TimeSpan.FromTicks(1));
        Assert.True(rig.Tokens.IsAvailable);
        Assert.True(rig.Tokens.TryTake());
        Assert.False(rig.Tokens.TryTake());
    }

    [Fact]
    public void A_token_given_back_is_there_at_once()
    {
        CloseRig rig = new(tokens: 1);
        Assert.True(rig.Tokens.TryTake());
        Assert.False(rig.Tokens.IsAvailable);
        rig.Tokens.GiveBack();
        Assert.True(rig.Tokens.IsAvailable);
        Assert.Equal(0, rig.Use.Tokens);
    }

    [Fact]
    public async Task Without_an_account_nothing_is_waited_for()
    {
        CloseRig rig = new();
        PortTokens none = new(rig.Ledger, account: null, limit: 0, rig.Time);
        Assert.True(none.IsAvailable);
        ValueTask taken = none.TakeAsync(TestContext.Current.CancellationToken);
        Assert.True(taken.IsCompletedSuccessfully);
        await taken;
        none.GiveBack();
        none.Closed(PortDebt.TimeWaitByToken);
        rig.AssertSettled();
    }

    [Fact]
    public async Task However_many_close_at_once_the_share_holds()
    {
        CloseRig rig = new(tokens: 5, places: 64);
        Close[] closes = [.. Enumerable.Range(0, 40).Select(_ => rig.New(new FakeTransport()))];
        using Barrier start = new(closes.Length / 2);
        Task[] runners = [.. closes.Chunk(2).Select(pair => Task.Run(() =>
        {
            start.SignalAndWait(PoolHarness.Hang);
            pair[0].Run.Execute();
            pair[1].Run.Execute();
        }))];
        await Task.WhenAll(runners);
        CloseOutcome[] outcomes = await Task.WhenAll(closes.Select(static close => close.EndAsync()));
        Assert.Equal(5, outcomes.Count(static o => o.TimeWaitIsOurs));
        Assert.Equal(35, outcomes.Count(static o => o.Method == CloseMethod.Quiet));
        rig.AssertSettled(owed: 5);
    }
}
