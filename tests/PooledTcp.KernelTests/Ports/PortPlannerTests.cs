using System.Net;
using System.Net.Sockets;
using PooledTcp.KernelTests.Harness;
using PooledTcp.Ports;
using Xunit;

namespace PooledTcp.KernelTests.Ports;

public sealed class PortPlannerTests
{
    private static readonly PortPolicy Slice = new() { Range = new PortRange(40010, 40017) };

    public sealed record Confinement(List<int> Plain, List<int> IPv6, List<int> DualMode, List<string> Failures);

    public sealed record Capacity(int Connections, int DifferentTuples, List<string> Sources, int TimeWaits, string Failure);

    [Fact]
    public async Task A_slice_confines_sockets_of_every_kind()
    {
        Confinement seen = await NetworkNamespace.RunAsync(ConfineAsync, NamespaceSettings.SmallRange);

        Assert.Equal(Enumerable.Range(40010, 8), seen.Plain);
        Assert.Equal(Enumerable.Range(40010, 8), seen.IPv6);
        Assert.Equal(Enumerable.Range(40010, 8), seen.DualMode);
        Assert.Equal(["Exhausted", "Exhausted", "Exhausted"], seen.Failures);
    }

    private static async Task<Confinement> ConfineAsync()
    {
        using var plain = Peer.Start(5001);
        using var six = new Peer(IPAddress.IPv6Loopback, 5002);
        using var other = Peer.Start(5003);
        var dials = new PlannedDials(Slice);
        (List<Dialed> toPlain, PortDiagnosis one) = await dials.FillAsync(plain);
        (List<Dialed> toSix, PortDiagnosis two) = await dials.FillAsync(six);
        var toOther = new List<Dialed>();
        Dialed last;
        while ((last = await dials.DialAsync(other.EndPoint, other, dualMode: true)).Account is not null)
        {
            toOther.Add(last);
        }

        return new Confinement(PortsOf(toPlain), PortsOf(toSix), PortsOf(toOther), [$"{one.Failure}", $"{two.Failure}", $"{last.Diagnosis.Failure}"]);
    }

    [Fact]
    public async Task Reserved_ports_are_left_out_and_do_not_count_as_usable()
    {
        (List<int> ports, string failure, int usable) = await NetworkNamespace.RunAsync(
            ReserveAsync, NamespaceSettings.SmallRange.With("ip_local_reserved_ports", "40011,40013-40014"));

        Assert.Equal([40010, 40012, 40015, 40016, 40017], ports);
        Assert.Equal(nameof(PortFailure.Exhausted), failure);
        Assert.Equal(5, usable);
    }

    private static async Task<(List<int> Ports, string Failure, int Usable)> ReserveAsync()
    {
        using var peer = Peer.Start();
        (List<Dialed> open, PortDiagnosis failure) = await new PlannedDials(Slice).FillAsync(peer);
        return (PortsOf(open), $"{failure.Failure}", open[0].Account!.Usable);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Two_sources_and_two_destinations_make_four_times_the_ports(bool inTimeWait)
    {
        Capacity capacity = await NetworkNamespace.RunAsync<Capacity>(inTimeWait ? FillWithTimeWaitsAsync : FillWithConnectionsAsync, NamespaceSettings.SmallRange);

        Assert.Equal(256, capacity.Connections);
        Assert.Equal(256, capacity.DifferentTuples);
        Assert.Equal([NamespaceSettings.Server, NamespaceSettings.Second], capacity.Sources);
        Assert.Equal(inTimeWait ? 256 : 0, capacity.TimeWaits);
        Assert.Equal(nameof(PortFailure.Exhausted), capacity.Failure);
    }

    [Fact]
    public async Task Several_sources_need_no_port_range_option()
    {
        Capacity capacity = await NetworkNamespace.RunAsync(FillWithoutPortRangeAsync, NamespaceSettings.SmallRange);

        Assert.Equal((256, 256), (capacity.Connections, capacity.DifferentTuples));
    }

    private static Task<Capacity> FillWithConnectionsAsync() => FillBothAsync(inTimeWait: false, PortAbilities.Detected);

    private static Task<Capacity> FillWithTimeWaitsAsync() => FillBothAsync(inTimeWait: true, PortAbilities.Detected);

    private static Task<Capacity> FillWithoutPortRangeAsync() => FillBothAsync(inTimeWait: false, PortAbilities.Detected with { LocalPortRange = false });

    private static async Task<Capacity> FillBothAsync(bool inTimeWait, PortAbilities abilities)
    {
        using var one = Peer.Start(5001);
        using var two = Peer.Start(5002);
        var dials = new PlannedDials(new PortPolicy
        {
            SourceAddresses = [IPAddress.Parse(NamespaceSettings.Server), IPAddress.Parse(NamespaceSettings.Second)],
        }, abilities);
        var tuples = new HashSet<(IPAddress, int, int)>();
        int connections = 0;
        PortDiagnosis failure = default;
        var accounts = new HashSet<PortAccount>();
        foreach (Peer peer in new[] { one, two })
        {
            // Until both sources are known to be exhausted.
            for (int failures = 0; failures < 3;)
            {
                Dialed dialed = await dials.DialAsync(peer.EndPoint, peer);
                if (dialed.Account is null)
                {
                    failures++;
                    failure = dialed.Diagnosis;
                    continue;
                }

                connections++;
                accounts.Add(dialed.Account);
                tuples.Add((dialed.Pair!.Value.Local.Address, dialed.Pair.Value.Local.Port, peer.EndPoint.Port));
                if (inTimeWait)
                {
                    dials.Close(dialed, PortDebt.TimeWait);
                }
            }
        }

        return new Capacity(
            connections,
            tuples.Count,
            [.. tuples.Select(tuple => tuple.Item1.ToString()).Distinct().Order(StringComparer.Ordinal)],
            accounts.Sum(account => dials.Taker.Take(account).TimeWaits),
            $"{failure.Failure}");
    }

    [Fact]
    public async Task Without_the_abilities_dials_are_plain_and_still_diagnosed()
    {
        (int connections, List<string> sources, string failure) = await NetworkNamespace.RunAsync(DialWithoutAbilitiesAsync, NamespaceSettings.SmallRange);

        Assert.Equal(64, connections);
        Assert.Equal([NamespaceSettings.Server], sources);
        Assert.Equal(nameof(PortFailure.Exhausted), failure);
    }

    private static async Task<(int Connections, List<string> Sources, string Failure)> DialWithoutAbilitiesAsync()
    {
        using var peer = Peer.Start();
        var dials = new PlannedDials(Slice with { SourceAddresses = [IPAddress.Parse(NamespaceSettings.Second)] }, PortAbilities.None);
        (List<Dialed> open, PortDiagnosis failure) = await dials.FillAsync(peer);
        return (open.Count, [.. open.Select(dialed => dialed.Pair!.Value.Local.Address.ToString()).Distinct()], $"{failure.Failure}");
    }

    [Fact]
    public async Task This_kernel_has_every_ability()
    {
        (PortAbilities abilities, string unprepared) = await NetworkNamespace.RunAsync(DetectAsync, NamespaceSettings.SmallRange);

        // What an older kernel lacks is told by what it answers to the option itself.
        Assert.Equal(unprepared == "ok", abilities.LocalPortRange);
        Assert.True(abilities.BindAddressNoPort);
        Assert.True(abilities.SockDiag);
    }

    private static Task<(PortAbilities Abilities, string Unprepared)> DetectAsync()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        string answer = "ok";
        try
        {
            PortSocketOptions.SetPortRange(socket, new PortRange(40000, 40063));
        }
        catch (SocketException e)
        {
            answer = e.Message;
        }

        return Task.FromResult((PortAbilities.Detected, answer));
    }

    private static List<int> PortsOf(List<Dialed> dialed) => [.. dialed.Select(one => one.Pair!.Value.Local.Port).Order()];
}
