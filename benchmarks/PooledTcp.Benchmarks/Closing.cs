using System.Net;
using BenchmarkDotNet.Attributes;
using PooledTcp.Ports;
using PooledTcp.Shutdown;

namespace PooledTcp.Benchmarks;

/// <summary>What the pool adds to a close by thinking about it: the decision, and the account of the port it costs.</summary>
[MemoryDiagnoser]
public class Closing
{
    private static readonly PortRange Range = new(32768, 60999);

    // Of the instance: of what is static and readonly the JIT would work out the decision by itself.
    private readonly CloseFacts _clean = new()
    {
        Reason = CloseReason.IdleTimeout,
        State = ConnectionState.Established,
        TokenAvailable = true,
        QuietSupported = true,
        AllowQuietClose = true,
    };

    private readonly CloseFacts _unix = new() { IsUnix = true };
    private readonly PortTuple _tuple = PortTuple.To(new IPEndPoint(IPAddress.Parse("10.0.0.1"), 6379));
    private readonly PortLedger _ledger = new(TimeProvider.System, TimeSpan.FromSeconds(62));
    private PortAccount _account = null!;

    /// <summary>Opens the account, with one connection that stays, so that it does not disappear in between.</summary>
    [GlobalSetup]
    public void SetUp()
    {
        _account = _ledger.Connecting(_tuple, Range, Range.Count);
        _ledger.Connected(_account);
    }

    /// <summary>The first row of the table: decided at once.</summary>
    [Benchmark]
    public int DecideUnixSocket() => (int)ShutdownPolicy.Decide(_unix).First;

    /// <summary>The last row: every other one was passed over.</summary>
    [Benchmark]
    public int DecideCleanWithToken() => (int)ShutdownPolicy.Decide(_clean).First;

    /// <summary>One connection's whole life in the ledger, closed quietly: five entries.</summary>
    [Benchmark]
    public void LedgerOfOneConnection()
    {
        PortAccount account = _ledger.Connecting(_tuple, Range, Range.Count);
        _ledger.Connected(account);
        _ledger.Closing(account);
        _ledger.Closed(account, PortDebt.None);
    }

    /// <summary>What the closing decision asks: is one more TIME_WAIT within the share? Taken and given back.</summary>
    [Benchmark]
    public void LedgerToken()
    {
        if (_ledger.TryTakeToken(_account, Range.Count / 4))
        {
            _ledger.CancelToken(_account);
        }
    }
}
