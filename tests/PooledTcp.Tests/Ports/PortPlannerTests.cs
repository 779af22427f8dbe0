using System.Net;
using Microsoft.Extensions.Time.Testing;
using PooledTcp.Ports;
using Xunit;

namespace PooledTcp.Tests.Ports;

/// <summary>Which source and slice a dial gets. What the kernel makes of it is in PooledTcp.KernelTests.</summary>
public sealed class PortPlannerTests
{
    private static readonly IPEndPoint Destination = new(IPAddress.Parse("10.0.0.1"), 6379);
    private static readonly IPEndPoint DestinationSix = new(IPAddress.Parse("2001:db8::1"), 6379);
    private static readonly PortAbilities Everything = new() { LocalPortRange = true, BindAddressNoPort = true };

    private readonly FakeTimeProvider _time = new();
    private readonly PortLedger _ledger;
    private readonly KernelPortSettingsReader _kernel;

    private readonly PortPolicy _policy = new()
    {
        Range = new PortRange(50000, 50063),
        SourceAddresses = [IPAddress.Parse("10.9.0.1"), IPAddress.Parse("10.9.0.2"), IPAddress.Parse("2001:db8::9")],
    };

    public PortPlannerTests()
    {
        _ledger = new PortLedger(_time, TimeSpan.FromSeconds(65.2));

        // A directory without files: every value unknown, so that 49152-65535 is assumed wherever this runs.
        _kernel = new KernelPortSettingsReader(_time, "/nowhere");
    }

    [Fact]
    public void Sources_take_turns_by_how_much_they_are_used()
    {
        string[] sources = [.. Enumerable.Range(0, 4).Select(_ => Begin(Everything, Destination)!.Tuple.Source.ToString())];

        Assert.Equal(["10.9.0.1", "10.9.0.2", "10.9.0.1", "10.9.0.2"], sources);
    }

    [Fact]
    public void A_source_of_the_other_family_is_never_used()
    {
        Assert.Equal("2001:db8::9", Begin(Everything, DestinationSix)!.Tuple.Source.ToString());
        Assert.Equal("2001:db8::9", Begin(Everything, DestinationSix)!.Tuple.Source.ToString());
    }

    [Fact]
    public void An_exhausted_source_is_passed_over_until_all_are_exhausted()
    {
        PortAccount first = Begin(Everything, Destination)!;
        _ledger.MarkFailed(first, PortFailure.Exhausted);
        PortAccount second = Begin(Everything, Destination)!;
        Assert.NotEqual(first.Tuple.Source, second.Tuple.Source);
        Assert.Same(second, Begin(Everything, Destination));

        _ledger.MarkFailed(second, PortFailure.Exhausted);
        Assert.Null(Begin(Everything, Destination));
        _time.Advance(PortLedger.FailureHold);
        Assert.Same(first, Begin(Everything, Destination));
    }

    [Fact]
    public void A_source_that_does_not_work_is_used_only_if_none_does()
    {
        PortAccount first = Begin(Everything, Destination)!;
        _ledger.MarkFailed(first, PortFailure.UnusableAddress);
        PortAccount second = Begin(Everything, Destination)!;
        Assert.NotEqual(first.Tuple.Source, second.Tuple.Source);

        // An exhausted source comes back; one that does not work is no reason to dial.
        _ledger.MarkFailed(second, PortFailure.Exhausted);
        Assert.Null(Begin(Everything, Destination));

        _ledger.MarkFailed(second, PortFailure.UnusableAddress);
        Assert.NotNull(Begin(Everything, Destination));
    }

    [Fact]
    public void Without_the_abilities_the_whole_range_and_the_kernels_source_are_reckoned_with()
    {
        PortAccount account = Begin(PortAbilities.None, Destination)!;

        Assert.True(account.Tuple.Source.IsAny);
        Assert.Equal(new PortRange(49152, 65535), account.Range);
        Assert.Equal(16384, account.Usable);
    }

    [Fact]
    public void The_slice_is_the_accounts_range()
    {
        PortAccount account = Begin(Everything, Destination)!;

        Assert.Equal(_policy.Range, account.Range);
        Assert.Equal(64, account.Usable);
    }

    [Fact]
    public void A_missing_ability_is_explained()
    {
        Assert.Equal(3, PortAbilities.None.Explain().Count);
        Assert.Empty((Everything with { SockDiag = true }).Explain());
    }

    private PortAccount? Begin(PortAbilities abilities, IPEndPoint destination) =>
        new PortPlanner(_kernel, _ledger, abilities).TryBegin(_policy, destination, out PortAccount? account, out _) ? account : null;
}
