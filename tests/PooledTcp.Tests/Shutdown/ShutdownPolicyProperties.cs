using CsCheck;
using PooledTcp.Shutdown;
using Xunit;

namespace PooledTcp.Tests.Shutdown;

/// <summary>What holds for every combination of facts, not only for the rows somebody thought of.</summary>
public class ShutdownPolicyProperties
{
    private const int Bits = 11;

    private static readonly Gen<CloseFacts> AnyFacts = Gen.Select(
        Gen.Enum<CloseReason>(), Gen.Enum<ConnectionState>(), Gen.Enum<ClosesFirst>(), Gen.Int[0, (1 << Bits) - 1],
        static (reason, state, closesFirst, bits) => new CloseFacts
        {
            Reason = reason,
            State = state,
            ClosesFirst = closesFirst,
            HasUnread = (bits & 1) != 0,
            HasUnsent = (bits & 2) != 0,
            Vanished = (bits & 4) != 0,
            GoodbyeKnown = (bits & 8) != 0,
            TokenAvailable = (bits & 16) != 0,
            PortsExhausted = (bits & 32) != 0,
            HasWaiters = (bits & 64) != 0,
            IsUnix = (bits & 128) != 0,
            QuietSupported = (bits & 256) != 0,
            AllowQuietClose = (bits & 512) != 0,
            AllowAbort = (bits & 1024) != 0,
        });

    [Fact]
    public void Unsent_bytes_are_never_aborted_unless_the_stream_is_out_of_step_or_the_peer_vanished() =>
        Holds(static facts => !facts.HasUnsent || facts.IsOutOfStep || facts.Vanished || !Steps(facts).Contains(CloseMethod.Abort));

    [Fact]
    public void A_vanished_peer_never_gets_a_graceful_close() =>
        Holds(static facts =>
            facts.State != ConnectionState.Established || !facts.Vanished || facts.IsUnix || !Steps(facts).Contains(CloseMethod.Graceful));

    [Fact]
    public void Quiet_is_never_planned_where_it_is_missing_or_off() =>
        Holds(static facts => (facts.QuietSupported && facts.AllowQuietClose) || !Steps(facts).Contains(CloseMethod.Quiet));

    [Fact]
    public void Under_client_first_a_clean_close_is_graceful_and_nothing_else() =>
        Holds(static facts =>
            facts.ClosesFirst != ClosesFirst.Client || facts.State != ConnectionState.Established || facts.IsUnix || facts.Vanished
            || facts.IsOutOfStep || Steps(facts).SequenceEqual([CloseMethod.Graceful]));

    [Fact]
    public void Under_server_first_a_clean_close_is_never_graceful_while_quiet_is_there() =>
        Holds(static facts =>
            facts.ClosesFirst != ClosesFirst.Server || !facts.QuietSupported || !facts.AllowQuietClose || !Steps(facts).Contains(CloseMethod.Graceful));

    [Fact]
    public void Each_chain_ends_in_a_method_that_cannot_fail_and_repeats_none() =>
        Holds(static facts =>
        {
            CloseMethod[] steps = Steps(facts);
            return steps.Length is > 0 and <= 3
                && steps.Distinct().Count() == steps.Length
                && steps[^1] is not (CloseMethod.Goodbye or CloseMethod.AwaitPeer);
        });

    [Fact]
    public void The_share_is_exceeded_only_without_a_way_round_it() =>
        Holds(static facts =>
            !ShutdownPolicy.Decide(facts).ExceedsShare || !facts.QuietSupported || !facts.AllowQuietClose);

    [Fact]
    public void Deciding_allocates_nothing()
    {
        CloseFacts facts = new() { QuietSupported = true, AllowQuietClose = true, GoodbyeKnown = true };
        ShutdownPolicy.Decide(facts);

        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 1000; i++)
        {
            ShutdownPolicy.Decide(facts);
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    /// <summary>There are some 400,000 combinations: a hundred tries would find a rare hole only now and then.</summary>
    private static void Holds(Func<CloseFacts, bool> property) => AnyFacts.Sample(property, iter: 50_000);

    private static CloseMethod[] Steps(in CloseFacts facts)
    {
        ClosePlan plan = ShutdownPolicy.Decide(facts);
        CloseMethod[] all = [plan.First, plan.Second, plan.Third];
        return [.. all.TakeWhile(static method => method != CloseMethod.None)];
    }
}
