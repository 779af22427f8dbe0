using System.Net;
using BenchmarkDotNet.Attributes;
using PooledTcp.Ports;

namespace PooledTcp.Benchmarks;

/// <summary>
/// What the account of local ports adds to a connection's life, and to who asks for it: one lock per event, the same for one
/// destination as for many. The round goes over all destinations, each with one connection that stays.
/// </summary>
[MemoryDiagnoser]
public class Ledger
{
    private static readonly PortRange Range = new(32768, 60999);

    private readonly PortLedger _ledger = new(new HurriedClock(), TimeSpan.FromSeconds(65.2));
    private PortTuple[] _tuples = [];
    private PortAccount[] _accounts = [];
    private int _next;

    /// <summary>How many destinations have an account.</summary>
    [Params(1, 10_000)]
    public int Destinations { get; set; }

    /// <summary>Opens the accounts.</summary>
    [GlobalSetup]
    public void SetUp()
    {
        int[] order = [.. Enumerable.Range(0, Destinations)];
        new Random(42).Shuffle(order);
        _tuples = [.. order.Select(static i => PortTuple.To(new IPEndPoint(new IPAddress([10, 1, (byte)(i >> 8), (byte)i]), 6379)))];
        _accounts = [.. _tuples.Select(Open)];
    }

    /// <summary>One connection's whole life, closed quietly: four entries.</summary>
    [Benchmark]
    public void ConnectionThatOwesNothing()
    {
        PortAccount account = Open(_tuples[Next()]);
        _ledger.Closing(account);
        _ledger.Closed(account, PortDebt.None);
    }

    /// <summary>One that takes a token and leaves a TIME_WAIT, while another runs out: some thousands are owed all the time.</summary>
    [Benchmark]
    public void ConnectionThatLeavesATimeWait()
    {
        PortAccount account = Open(_tuples[Next()]);
        _ledger.TryTakeToken(account, int.MaxValue);
        _ledger.Closing(account);
        _ledger.Closed(account, PortDebt.TimeWaitByToken);
    }

    /// <summary>What the closing decision asks: is one more TIME_WAIT within the share? Taken and given back.</summary>
    [Benchmark]
    public void Token()
    {
        PortAccount account = _accounts[Next()];
        if (_ledger.TryTakeToken(account, Range.Count / 4))
        {
            _ledger.CancelToken(account);
        }
    }

    /// <summary>What a dial asks first: is there a port towards this address?</summary>
    [Benchmark]
    public int Look() => _ledger.Look(_tuples[Next()], Range).Use.Ports;

    /// <summary>What a snapshot and the metrics ask.</summary>
    [Benchmark]
    public int Use() => _ledger.Use(_accounts[Next()]).Ports;

    private PortAccount Open(PortTuple tuple)
    {
        PortAccount account = _ledger.Connecting(tuple, Range, Range.Count);
        _ledger.Connected(account);
        return account;
    }

    private int Next()
    {
        int next = _next + 1;
        return _next = next < Destinations ? next : 0;
    }

    /// <summary>The system's clock, whose price is in every entry, 30,000 times as fast: a TIME_WAIT runs out within 2 ms.</summary>
    private sealed class HurriedClock : TimeProvider
    {
        private readonly long _start = System.GetTimestamp();

        public override long GetTimestamp() => 30_000 * (System.GetTimestamp() - _start);
    }
}
