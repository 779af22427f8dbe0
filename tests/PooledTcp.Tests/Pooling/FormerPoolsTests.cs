using System.Collections;
using System.Net;
using PooledTcp.Connections;
using PooledTcp.Pooling;
using PooledTcp.Ports;
using PooledTcp.Telemetry;
using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Pooling;

/// <summary>Retired pools whose TIME-WAITs run: kept until those are over, and not all looked at whenever one joins them.</summary>
public sealed class FormerPoolsTests
{
    private static readonly TimeSpan TimeWait = TimeSpan.FromSeconds(65.2);

    private readonly FakeTime _time = new();
    private readonly PoolClock _clock;
    private readonly PortLedger _ledger;
    private readonly FormerPools _former;
    private int _retired;
    private int _looks;

    public FormerPoolsTests()
    {
        _clock = new PoolClock(_time);
        _ledger = new PortLedger(_time, TimeWait);
        _former = new FormerPools(_clock);
    }

    [Fact]
    public void What_looking_for_settled_ones_costs_grows_with_their_number_and_no_faster()
    {
        const int Pools = 1000;
        for (int i = 0; i < Pools; i++)
        {
            Retire();
            Pass(TimeSpan.FromMilliseconds(100));
        }

        // 100 s, so all of them are looked at about once; at every retirement it would be hundreds of times.
        Assert.InRange(_looks, 0, 2 * Pools);
    }

    [Fact]
    public void They_are_kept_until_their_ports_are_free_and_no_longer_than_the_next_look()
    {
        Retire();
        Pass(TimeSpan.FromSeconds(30));
        Retire();
        Pass(TimeSpan.FromSeconds(31));
        _former.ForgetSettled();
        Assert.Equal(2, _former.All.Count());
        Pass(FormerPools.LookInterval);
        _former.ForgetSettled();
        Assert.Empty(_former.All);
    }

    private void Pass(TimeSpan time)
    {
        _time.Advance(time);

        // As maintenance does at every turn.
        _clock.Read();
    }

    /// <summary>As the client does, for a pool with one TIME-WAIT.</summary>
    private void Retire()
    {
        PortTuple tuple = PortTuple.To(new IPEndPoint(IPAddress.Parse("10.0.0.1"), 7000 + _retired++));
        PortAccount account = _ledger.Connecting(tuple, new PortRange(1000, 1099), 100);
        _ledger.Connected(account);
        _ledger.Closing(account);
        _ledger.Closed(account, PortDebt.TimeWait);
        _former.ForgetSettled();
        _former.Add(new FormerPool(new PoolTags("ad_hoc", null, null), new Debts(this, new PortReading(account, 100, _ledger.Use(account))), _ledger));
    }

    /// <summary>Counts how often somebody asks what became of them.</summary>
    private sealed class Debts(FormerPoolsTests test, PortReading debt) : IReadOnlyList<PortReading>
    {
        public int Count => 1;

        public PortReading this[int index] => debt;

        public IEnumerator<PortReading> GetEnumerator()
        {
            test._looks++;
            yield return debt;
        }

        IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
    }
}
