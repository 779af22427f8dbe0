using System.Net;
using Microsoft.Extensions.Time.Testing;
using PooledTcp.Ports;
using Xunit;

namespace PooledTcp.Tests.Ports;

public sealed class PortLedgerTests
{
    private static readonly PortRange Range = new(40000, 40063);
    private static readonly PortTuple Tuple = PortTuple.To(new IPEndPoint(IPAddress.Parse("10.0.0.1"), 6379));
    private static readonly PortTuple Other = PortTuple.To(new IPEndPoint(IPAddress.Parse("10.0.0.2"), 6379));

    private readonly FakeTimeProvider _time = new();
    private readonly PortLedger _ledger;

    public PortLedgerTests() => _ledger = new PortLedger(_time, TimeSpan.FromSeconds(65.2));

    [Fact]
    public void A_connection_is_counted_at_every_stage_of_its_life()
    {
        PortAccount account = _ledger.Connecting(Tuple, Range, 64);
        Assert.Equal(new PortUse(1, 0, 0, 0, 0), _ledger.Use(account));
        _ledger.Connected(account);
        Assert.Equal(new PortUse(0, 1, 0, 0, 0), _ledger.Use(account));
        _ledger.Closing(account);
        Assert.True(_ledger.TryTakeToken(account, 16));
        Assert.Equal(new PortUse(0, 0, 1, 1, 0), _ledger.Use(account));
        Assert.Equal(1, _ledger.Use(account).Ports);
        _ledger.Closed(account, PortDebt.TimeWaitByToken);
        Assert.Equal(new PortUse(0, 0, 0, 0, 1), _ledger.Look(Tuple, Range).Use);

        _time.Advance(TimeSpan.FromSeconds(65.2));
        Assert.Equal(0, _ledger.Count);
        Assert.Equal(default, _ledger.Look(Tuple, Range));
    }

    [Fact]
    public void A_token_comes_back_the_given_time_after_its_time_wait_began_and_by_nothing_else()
    {
        PortAccount account = Open(20);
        for (int i = 0; i < 16; i++)
        {
            Assert.True(_ledger.TryTakeToken(account, 16));
        }

        Assert.False(_ledger.TryTakeToken(account, 16));
        Assert.Null(_ledger.UntilToken(account, 16));

        // Time alone refills nothing: no TIME_WAIT has begun.
        _time.Advance(TimeSpan.FromHours(1));
        Assert.False(_ledger.TryTakeToken(account, 16));

        Close(account, PortDebt.TimeWaitByToken);
        _time.Advance(TimeSpan.FromSeconds(10));
        Close(account, PortDebt.TimeWaitByToken);
        Close(account, PortDebt.None);
        Assert.False(_ledger.TryTakeToken(account, 16));
        Assert.Equal(TimeSpan.FromSeconds(55.2), _ledger.UntilToken(account, 16));

        _time.Advance(TimeSpan.FromSeconds(55.2) - TimeSpan.FromTicks(1));
        Assert.False(_ledger.TryTakeToken(account, 16));
        _time.Advance(TimeSpan.FromTicks(1));
        Assert.Equal(TimeSpan.Zero, _ledger.UntilToken(account, 16));
        Assert.True(_ledger.TryTakeToken(account, 16));
        Assert.False(_ledger.TryTakeToken(account, 16));
        _time.Advance(TimeSpan.FromSeconds(10));
        Assert.True(_ledger.TryTakeToken(account, 16));
    }

    [Fact]
    public void A_time_wait_without_a_token_counts_against_the_share_all_the_same()
    {
        PortAccount account = Open(3);
        Close(account, PortDebt.TimeWait);
        Close(account, PortDebt.TimeWait);

        Assert.False(_ledger.TryTakeToken(account, 2));
        Assert.True(_ledger.TryTakeToken(account, 3));
    }

    [Fact]
    public void A_token_that_was_not_spent_can_be_given_back()
    {
        PortAccount account = Open(1);
        Assert.True(_ledger.TryTakeToken(account, 1));
        _ledger.CancelToken(account);
        Assert.True(_ledger.TryTakeToken(account, 1));
    }

    [Fact]
    public void A_lower_limit_after_a_reload_holds_at_once()
    {
        PortAccount account = Open(5);
        Assert.True(_ledger.TryTakeToken(account, 16));
        Assert.False(_ledger.TryTakeToken(account, 1));
        Assert.False(_ledger.TryTakeToken(account, 0));
    }

    [Fact]
    public void Destinations_sources_and_slices_have_accounts_of_their_own()
    {
        PortAccount one = Open(1);
        PortAccount other = _ledger.Connecting(Other, Range, 64);
        PortAccount source = _ledger.Connecting(Tuple with { Source = AddressKey.From(IPAddress.Loopback) }, Range, 64);
        PortAccount slice = _ledger.Connecting(Tuple, new PortRange(40064, 40127), 64);

        Assert.Equal(4, new[] { one, other, source, slice }.Distinct().Count());
        Assert.Same(one, _ledger.Connecting(Tuple, Range, 64));
        Assert.True(_ledger.TryTakeToken(one, 1));
        Assert.True(_ledger.TryTakeToken(source, 1));
        Assert.Equal(5, _ledger.Total().Ports);
        Assert.Equal(2, _ledger.Total().Tokens);
    }

    [Fact]
    public void Unused_accounts_disappear()
    {
        _ledger.ConnectFailed(_ledger.Connecting(Tuple, Range, 64));
        Assert.Equal(0, _ledger.Count);

        PortAccount account = Open(1);
        Close(account, PortDebt.None);
        Assert.Equal(1, _ledger.Count);
        _time.Advance(PortLedger.FailureHold);
        Assert.Equal(0, _ledger.Count);

        account = _ledger.Connecting(Tuple, Range, 64);
        _ledger.MarkFailed(account, PortFailure.Exhausted);
        _ledger.ConnectFailed(account);
        Assert.Equal(1, _ledger.Count);
        _time.Advance(PortLedger.FailureHold);
        Assert.Equal(0, _ledger.Count);
    }

    [Fact]
    public void An_exhausted_tuple_is_left_alone_for_a_second_or_until_a_dial_succeeds()
    {
        PortAccount account = _ledger.Connecting(Tuple, Range, 64);
        _ledger.MarkFailed(account, PortFailure.Exhausted);
        Assert.Equal(PortFailure.Exhausted, _ledger.Look(Tuple, Range).Failure);
        Assert.Equal(PortFailure.NotAboutPorts, _ledger.Look(Other, Range).Failure);

        _time.Advance(PortLedger.FailureHold - TimeSpan.FromTicks(1));
        Assert.Equal(PortFailure.Exhausted, _ledger.Look(Tuple, Range).Failure);
        _ledger.MarkFailed(account, PortFailure.Exhausted);
        _time.Advance(TimeSpan.FromTicks(1));
        Assert.Equal(PortFailure.Exhausted, _ledger.Look(Tuple, Range).Failure);

        _ledger.Connected(account);
        Assert.Equal(PortFailure.NotAboutPorts, _ledger.Look(Tuple, Range).Failure);
        _time.Advance(PortLedger.FailureHold);
        Assert.Equal(1, _ledger.Use(account).Ports);
    }

    [Fact]
    public void An_exhausted_tuple_is_tried_again_soon_while_a_port_of_ours_is_on_its_way_back()
    {
        PortAccount account = Open(2);
        Close(account, PortDebt.None);
        _ledger.MarkFailed(account, PortFailure.Exhausted);

        _time.Advance(PortLedger.ReturnHold - TimeSpan.FromTicks(1));
        Assert.Equal(PortFailure.Exhausted, _ledger.Look(Tuple, Range).Failure);
        _time.Advance(TimeSpan.FromTicks(1));
        Assert.Equal(PortFailure.NotAboutPorts, _ledger.Look(Tuple, Range).Failure);

        // It is back, and there was none all the same: somebody else has it.
        _ledger.MarkFailed(account, PortFailure.Exhausted);
        _time.Advance(PortLedger.ReturnHold);
        Assert.Equal(PortFailure.Exhausted, _ledger.Look(Tuple, Range).Failure);
        Assert.True(_ledger.WasFreedLately(account));
        _time.Advance(PortLedger.FailureHold);
        Assert.False(_ledger.WasFreedLately(account));
        Assert.Equal(PortFailure.NotAboutPorts, _ledger.Look(Tuple, Range).Failure);
    }

    [Fact]
    public void Accounts_that_fill_up_are_found()
    {
        Open(16);
        Assert.Empty(_ledger.FindAbove(0.25));
        PortAccount account = Open(1);
        Assert.Same(account, Assert.Single(_ledger.FindAbove(0.25)));
    }

    [Fact]
    public void Random_lives_keep_every_count_that_a_plain_model_keeps()
    {
        var random = new Random(1);
        var model = new List<(PortTuple Tuple, TimeSpan Due)>();
        PortTuple[] tuples = [Tuple, Other, Tuple with { Port = 1 }];
        var live = new List<PortAccount>();
        TimeSpan now = TimeSpan.Zero;
        for (int i = 0; i < 20_000; i++)
        {
            if (live.Count == 0 || random.Next(2) == 0)
            {
                PortAccount account = _ledger.Connecting(tuples[random.Next(3)], Range, 64);
                if (random.Next(4) == 0)
                {
                    _ledger.ConnectFailed(account);
                }
                else
                {
                    _ledger.Connected(account);
                    live.Add(account);
                }
            }
            else
            {
                int which = random.Next(live.Count);
                PortAccount account = live[which];
                live.RemoveAt(which);
                _ledger.Closing(account);
                bool token = _ledger.TryTakeToken(account, 16);
                Assert.Equal(model.Count(debt => debt.Tuple == account.Tuple && debt.Due > now) < 16, token);
                _ledger.Closed(account, token ? PortDebt.TimeWaitByToken : PortDebt.None);
                if (token)
                {
                    model.Add((account.Tuple, now + TimeSpan.FromSeconds(65.2)));
                }
            }

            TimeSpan step = TimeSpan.FromMilliseconds(random.Next(600));
            _time.Advance(step);
            now += step;
            model.RemoveAll(debt => debt.Due <= now);
            if (i % 100 == 0)
            {
                foreach (PortTuple tuple in tuples)
                {
                    Assert.Equal(
                        new PortUse(0, live.Count(account => account.Tuple == tuple), 0, 0, model.Count(debt => debt.Tuple == tuple)),
                        _ledger.Look(tuple, Range).Use);
                }
            }
        }
    }

    [Fact]
    public async Task Threads_together_never_take_more_tokens_than_there_are()
    {
        PortAccount account = Open(400);
        int taken = 0;
        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() =>
        {
            for (int i = 0; i < 100; i++)
            {
                _ledger.Closing(account);
                bool token = _ledger.TryTakeToken(account, 50);
                Interlocked.Add(ref taken, token ? 1 : 0);
                _ledger.Closed(account, token ? PortDebt.TimeWaitByToken : PortDebt.None);
            }
        })));

        Assert.Equal(50, taken);
        Assert.Equal(new PortUse(0, 0, 0, 0, 50), _ledger.Total());
    }

    private PortAccount Open(int connections)
    {
        PortAccount? account = null;
        for (int i = 0; i < connections; i++)
        {
            account = _ledger.Connecting(Tuple, Range, 64);
            _ledger.Connected(account);
        }

        return account!;
    }

    private void Close(PortAccount account, PortDebt debt)
    {
        _ledger.Closing(account);
        _ledger.Closed(account, debt);
    }
}
