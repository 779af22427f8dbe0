using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Time.Testing;
using PooledTcp.KernelTests.Harness;
using PooledTcp.Ports;
using Xunit;

namespace PooledTcp.KernelTests.Ports;

/// <summary>Errno 98 and 99: exhausted, or an address that cannot be used.</summary>
public sealed class PortWatchTests
{
    public sealed record Verdict(string Failure, int Errno, int Taken, int Others, int TimeWaits, int? AnySocket, string Method, string Text);

    [Fact]
    public async Task Full_by_our_own_connections_is_explained_by_the_ledger_alone()
    {
        Verdict verdict = await NetworkNamespace.RunAsync(FillOurselvesAsync, NamespaceSettings.SmallRange);

        Assert.Equal(("Exhausted", 99, "LedgerOnly"), (verdict.Failure, verdict.Errno, verdict.Method));
        Assert.Contains("64 of 64 usable taken by this process (64 live", verdict.Text, StringComparison.Ordinal);
    }

    private static async Task<Verdict> FillOurselvesAsync()
    {
        using var peer = Peer.Start();
        var dials = new PlannedDials(new PortPolicy());
        (List<Dialed> open, PortDiagnosis failure) = await dials.FillAsync(peer);
        GC.KeepAlive(open);
        return Describe(failure, 99);
    }

    [Fact]
    public async Task Full_by_foreign_sockets_is_found_out_by_a_census()
    {
        Verdict verdict = await NetworkNamespace.RunAsync(FillByOthersAsync, NamespaceSettings.SmallRange);

        Assert.Equal("Exhausted", verdict.Failure);
        Assert.Equal("SockDiag", verdict.Method);
        Assert.Equal(64, verdict.Taken);
        Assert.Equal(48, verdict.Others);
        Assert.Equal(30, verdict.TimeWaits);
        Assert.Contains("34 Established, 30 TimeWait", verdict.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_sock_diag_the_managed_tables_tell_the_same()
    {
        Verdict verdict = await NetworkNamespace.RunAsync(FillByOthersManagedAsync, NamespaceSettings.SmallRange);

        Assert.Equal("Exhausted", verdict.Failure);
        Assert.Equal("ActiveConnections", verdict.Method);
        Assert.Equal((64, 30), (verdict.Taken, verdict.TimeWaits));
    }

    [Fact]
    public async Task Where_nothing_can_be_counted_a_usable_address_means_exhausted()
    {
        Verdict verdict = await NetworkNamespace.RunAsync(FillByOthersBlindAsync, NamespaceSettings.SmallRange);

        Assert.Equal(("Exhausted", "LedgerOnly"), (verdict.Failure, verdict.Method));
        Assert.Contains("others were not counted", verdict.Text, StringComparison.Ordinal);
    }

    private static Task<Verdict> FillByOthersAsync() => FillByOthersAsync(PortAbilities.Detected);

    private static Task<Verdict> FillByOthersManagedAsync() => FillByOthersAsync(PortAbilities.None with { ActiveConnections = true });

    private static Task<Verdict> FillByOthersBlindAsync() => FillByOthersAsync(PortAbilities.None);

    private static async Task<Verdict> FillByOthersAsync(PortAbilities abilities)
    {
        using var peer = Peer.Start();
        var open = new List<Pair>();
        for (int i = 0; i < 30; i++)
        {
            peer.Connect().CloseClientFirst();
        }

        // Half of them dual-mode: their entries are in the IPv6 table alone.
        for (int i = 0; i < 18; i++)
        {
            open.Add(i % 2 == 0
                ? peer.Connect()
                : peer.Connect(new Socket(SocketType.Stream, ProtocolType.Tcp), peer.EndPoint));
        }

        var dials = new PlannedDials(new PortPolicy(), abilities);
        (List<Dialed> ours, PortDiagnosis failure) = await dials.FillAsync(peer);
        GC.KeepAlive((open, ours));
        return ours.Count == 16 ? Describe(failure, 99) : throw new InvalidOperationException($"{ours.Count} instead of 16");
    }

    [Fact]
    public async Task Ports_hidden_by_explicit_binds_to_another_destination_are_exhaustion_too()
    {
        Verdict verdict = await NetworkNamespace.RunAsync(HideAsync, NamespaceSettings.SmallRange);

        Assert.Equal("Exhausted", verdict.Failure);
        Assert.Equal((0, 64), (verdict.Taken, verdict.AnySocket));
        Assert.Contains("64 taken by sockets to any destination", verdict.Text, StringComparison.Ordinal);
    }

    private static async Task<Verdict> HideAsync()
    {
        using var one = Peer.Start(5001);
        using var two = Peer.Start(5002);
        var open = new List<Pair>();
        for (int i = 0; i < 64; i++)
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            socket.Bind(new IPEndPoint(one.EndPoint.Address, 0));
            open.Add(one.Connect(socket));
        }

        Dialed dialed = await new PlannedDials(new PortPolicy()).DialAsync(two.EndPoint, two);
        GC.KeepAlive(open);
        return Describe(dialed.Diagnosis, 99);
    }

    [Fact]
    public async Task Errno_98_of_a_full_range_is_exhaustion()
    {
        Verdict verdict = await NetworkNamespace.RunAsync(BindIntoFullRangeAsync, NamespaceSettings.SmallRange);

        Assert.Equal(("Exhausted", 98), (verdict.Failure, verdict.Errno));
    }

    // As a connect callback might do it; the planner never does.
    private static async Task<Verdict> BindIntoFullRangeAsync()
    {
        using var peer = Peer.Start();
        var foreign = new List<Pair>();
        for (int i = 0; i < 64; i++)
        {
            foreign.Add(peer.Connect());
        }

        var dials = new PlannedDials(new PortPolicy());
        dials.Planner.TryBegin(new PortPolicy(), peer.EndPoint, out PortAccount? account, out _);
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        SocketException error = Assert.Throws<SocketException>(() => socket.Bind(new IPEndPoint(peer.EndPoint.Address, 0)));
        PortDiagnosis diagnosis = await dials.Watch.DiagnoseAsync(error, account!);
        GC.KeepAlive(foreign);
        return Describe(diagnosis, error.ErrorCode);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Other_causes_of_errno_99_are_unusable_addresses(bool abilities)
    {
        Dictionary<string, string> verdicts = await NetworkNamespace.RunAsync<Dictionary<string, string>>(
            abilities ? DialUnusableAsync : DialUnusableBlindAsync,
            NamespaceSettings.SmallRange.With("../ipv6/conf/lo/disable_ipv6", "1"));

        Assert.Equal("UnusableAddress", verdicts["::1 with IPv6 off"]);
        if (abilities)
        {
            Assert.Equal("UnusableAddress", verdicts["a source the host lacks"]);
        }

        // And an error that has nothing to do with ports is left alone.
        Assert.Equal("NotAboutPorts", verdicts["nobody listens"]);
    }

    private static Task<Dictionary<string, string>> DialUnusableAsync() => DialUnusableAsync(PortAbilities.Detected);

    private static Task<Dictionary<string, string>> DialUnusableBlindAsync() => DialUnusableAsync(PortAbilities.None);

    private static async Task<Dictionary<string, string>> DialUnusableAsync(PortAbilities abilities)
    {
        var here = new IPEndPoint(IPAddress.Parse(NamespaceSettings.Server), 5001);
        var plain = new PlannedDials(new PortPolicy(), abilities);
        var lost = new PlannedDials(new PortPolicy { SourceAddresses = [IPAddress.Parse("10.1.2.3")] }, abilities);
        return new Dictionary<string, string>
        {
            ["::1 with IPv6 off"] = $"{(await plain.DialAsync(new IPEndPoint(IPAddress.IPv6Loopback, 5001))).Diagnosis.Failure}",
            ["a source the host lacks"] = $"{(await lost.DialAsync(here)).Diagnosis.Failure}",
            ["nobody listens"] = $"{(await plain.DialAsync(here)).Diagnosis.Failure}",
        };
    }

    [Fact]
    public async Task A_missing_source_address_costs_one_dial_and_no_more()
    {
        List<string> outcomes = await NetworkNamespace.RunAsync(DialFromMissingAndGoodSourceAsync, NamespaceSettings.SmallRange);

        Assert.Equal(["UnusableAddress", "10.99.0.2", "10.99.0.2", "10.99.0.2"], outcomes);
    }

    private static async Task<List<string>> DialFromMissingAndGoodSourceAsync()
    {
        using var peer = Peer.Start();

        // A clock that stands still: the missing address is left alone for a second, however long the dials take.
        var dials = new PlannedDials(
            new PortPolicy { SourceAddresses = [IPAddress.Parse("10.1.2.3"), IPAddress.Parse(NamespaceSettings.Second)] },
            time: new FakeTimeProvider());
        var outcomes = new List<string>();
        for (int i = 0; i < 4; i++)
        {
            Dialed dialed = await dials.DialAsync(peer.EndPoint, peer);
            outcomes.Add(dialed.Pair is Pair pair ? $"{pair.Local.Address}" : $"{dialed.Diagnosis.Failure}");
        }

        return outcomes;
    }

    [Fact]
    public async Task The_ledger_agrees_with_the_kernel()
    {
        List<string> differences = await NetworkNamespace.RunAsync(CompareLedgerAsync, NamespaceSettings.FullRange);

        Assert.Empty(differences);
    }

    private static async Task<List<string>> CompareLedgerAsync()
    {
        using var peer = Peer.Start();
        var dials = new PlannedDials(new PortPolicy { Range = new PortRange(40000, 40999) });
        var random = new Random(20);
        var open = new List<Dialed>();
        var differences = new List<string>();
        PortAccount? account = null;
        for (int i = 0; i < 1500; i++)
        {
            if (open.Count < 40 || random.Next(2) == 0)
            {
                open.Add(await dials.DialAsync(peer.EndPoint, peer));
                account = open[^1].Account ?? throw new InvalidOperationException("dial failed");
            }
            else
            {
                int which = random.Next(open.Count);
                dials.Close(open[which], random.Next(2) == 0 ? PortDebt.TimeWait : PortDebt.None);
                open.RemoveAt(which);
            }

            if (i % 100 == 99)
            {
                PortCensus census = dials.Taker.Take(account!);
                if (census.Taken != census.Ours.Ports || census.TimeWaits != census.Ours.Owed || census.Others != 0)
                {
                    differences.Add(census.ToString());
                }
            }
        }

        return dials.Watch.Sweep(isQuiet: false).Count == 1 && dials.Watch.Sweep(isQuiet: false).Count == 0 ? differences : [.. differences, "sweep"];
    }

    private static Verdict Describe(PortDiagnosis diagnosis, int errno)
    {
        PortCensus census = diagnosis.Census!;
        return new Verdict(
            $"{diagnosis.Failure}", errno, census.Taken, census.Others, census.TimeWaits, census.TakenByAnySocket, $"{census.Method}", census.ToString());
    }
}
