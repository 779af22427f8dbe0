using System.Diagnostics.Metrics;
using System.Globalization;
using System.Net;
using PooledTcp.Ports;
using PooledTcp.Telemetry;
using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Telemetry;

/// <summary>The kernel's sockets by state: one walk for all servers, and not more often than every 5 s, whoever collects.</summary>
public sealed class SocketCountsTests
{
    private static readonly IPEndPoint One = IPEndPoint.Parse("10.0.0.1:7000");
    private static readonly IPEndPoint Other = IPEndPoint.Parse("10.0.0.2:7000");

    private readonly FakeTime _time = new();
    private readonly List<(IPEndPoint Remote, TcpStates State)> _sockets = [];
    private bool _cannotWalk;
    private int _walks;

    [Fact]
    public void Sockets_are_counted_by_server_and_state()
    {
        SocketCounts counts = new(_time, Walk);
        _sockets.AddRange([(One, TcpStates.Established), (One, TcpStates.Established), (One, TcpStates.TimeWait), (Other, TcpStates.CloseWait), (Other, TcpStates.Listen)]);
        Dictionary<string, long> read = Read(counts, ("cache", One), ("queue", Other));
        Assert.Equal(2, read["established cache"]);
        Assert.Equal(1, read["time_wait cache"]);
        Assert.Equal(0, read["close_wait cache"]);
        Assert.Equal(1, read["close_wait queue"]);
        Assert.Equal(4, read.Values.Sum());
        Assert.Equal(18, read.Count);
        Assert.Equal(1, _walks);
    }

    [Fact]
    public void The_same_answer_serves_for_five_seconds()
    {
        SocketCounts counts = new(_time, Walk);
        _sockets.Add((One, TcpStates.Established));
        Assert.Equal(1, Read(counts, ("cache", One))["established cache"]);
        _sockets.Add((One, TcpStates.Established));
        _time.Advance(TimeSpan.FromSeconds(5) - TimeSpan.FromTicks(1));
        Assert.Equal(1, Read(counts, ("cache", One))["established cache"]);
        _time.Advance(TimeSpan.FromTicks(1));
        Assert.Equal(2, Read(counts, ("cache", One))["established cache"]);
        Assert.Equal(2, _walks);
    }

    [Fact]
    public void A_server_that_is_not_used_any_more_ends_at_zero()
    {
        SocketCounts counts = new(_time, Walk);
        _sockets.Add((One, TcpStates.Established));
        Assert.Equal(1, Read(counts, ("cache", One))["established cache"]);
        _time.Advance(SocketCounts.Freshness);
        Assert.Equal(0, Read(counts)["established cache"]);
    }

    [Fact]
    public void Nobody_asking_is_no_walk()
    {
        Assert.Empty(Read(new SocketCounts(_time, Walk)));
        Assert.Equal(0, _walks);
    }

    [Fact]
    public void Where_nobody_can_be_asked_there_is_no_figure()
    {
        _cannotWalk = true;
        Assert.Empty(Read(new SocketCounts(_time, Walk), ("cache", One)));
    }

    private CensusMethod Walk(ISocketTally tally)
    {
        _walks++;
        if (_cannotWalk)
        {
            return CensusMethod.LedgerOnly;
        }

        AddressKey local = AddressKey.From(IPAddress.Loopback);
        for (int i = 0; i < _sockets.Count; i++)
        {
            tally.Add(local, 40_000 + i, AddressKey.From(_sockets[i].Remote.Address), _sockets[i].Remote.Port, _sockets[i].State);
        }

        return CensusMethod.SockDiag;
    }

    /// <summary>"state server" and how many.</summary>
    private static Dictionary<string, long> Read(SocketCounts counts, params (string Name, IPEndPoint Address)[] servers)
    {
        Dictionary<(string? Address, int? Port), HashSet<IPEndPoint>> asked = servers.ToDictionary(
            static one => ((string?)one.Name, (int?)one.Address.Port), static one => (HashSet<IPEndPoint>)[one.Address]);
        Dictionary<string, long> read = new(StringComparer.Ordinal);
        foreach (Measurement<long> one in counts.Read(asked))
        {
            Dictionary<string, string?> tags = [];
            foreach (KeyValuePair<string, object?> tag in one.Tags)
            {
                tags.Add(tag.Key, Convert.ToString(tag.Value, CultureInfo.InvariantCulture));
            }

            Assert.Equal("7000", tags["server.port"]);
            read.Add($"{tags["network.connection.state"]} {tags["server.address"]}", one.Value);
        }

        return read;
    }
}
