using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Time.Testing;
using PooledTcp.Ports;
using Xunit;

namespace PooledTcp.Tests.Ports;

/// <summary>The verdict for every outcome of ledger and census. Real sockets are in PooledTcp.KernelTests.</summary>
public sealed class PortWatchTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);
    private static readonly SocketException NotAvailable = new((int)SocketError.AddressNotAvailable);

    private readonly FakeTimeProvider _time = new();
    private readonly FakeTaker _taker = new();
    private readonly PortLedger _ledger;
    private readonly PortWatch _watch;

    // A destination that every host can route to, so that the address is never the reason.
    private readonly PortAccount _account;

    public PortWatchTests()
    {
        _ledger = new PortLedger(_time, TimeSpan.FromSeconds(65.2));
        _watch = new PortWatch(_ledger, _taker, _time);
        _account = _ledger.Connecting(PortTuple.To(new IPEndPoint(IPAddress.Loopback, 6379)), new PortRange(40000, 40063), 64);
    }

    [Theory]
    [InlineData(SocketError.ConnectionRefused)]
    [InlineData(SocketError.NetworkUnreachable)]
    [InlineData(SocketError.TooManyOpenSockets)]
    public async Task Other_errors_are_not_about_ports(SocketError error)
    {
        PortDiagnosis diagnosis = await _watch.DiagnoseAsync(new SocketException((int)error), _account);

        Assert.Equal(PortFailure.NotAboutPorts, diagnosis.Failure);
        Assert.Equal(PortFailure.NotAboutPorts, Standing.Failure);
        Assert.Equal(0, _taker.Takes);
    }

    [Theory]
    [InlineData(10048, false, true)]
    [InlineData(10048, true, true)]
    [InlineData(10049, false, true)]
    [InlineData(10049, true, true)]
    [InlineData(10055, false, false)]
    [InlineData(10055, true, true)]
    [InlineData(10061, true, false)]
    public void Windows_says_it_with_two_more_numbers(int code, bool isWindows, bool isAboutPorts) =>
        Assert.Equal(isAboutPorts, PortWatch.IsAboutPorts((SocketError)code, isWindows));

    [Theory]
    [InlineData(SocketError.AddressNotAvailable)]
    [InlineData(SocketError.AddressAlreadyInUse)]
    public async Task Ninety_percent_by_the_ledger_are_exhausted_without_a_count(SocketError error)
    {
        Hold(58);
        ValueTask<PortDiagnosis> diagnosis = _watch.DiagnoseAsync(new SocketException((int)error), _account);

        Assert.True(diagnosis.IsCompleted);
        PortDiagnosis result = await diagnosis;
        Assert.Equal(PortFailure.Exhausted, result.Failure);
        Assert.Equal(PortFailure.Exhausted, Standing.Failure);
        Assert.Same(result.Census, Standing.LastCensus);
        Assert.Equal(0, _taker.Takes);
    }

    [Theory]
    [InlineData(58, 58, PortFailure.Exhausted)]
    [InlineData(57, 57, PortFailure.Exhausted)] // many were given back between the error and the count
    [InlineData(0, 58, PortFailure.Exhausted)]
    [InlineData(0, 0, PortFailure.UnusableAddress)]
    public async Task What_the_ledger_does_not_explain_is_counted(int taken, int byAnySocket, object failure)
    {
        Hold(57);
        _taker.Taken = taken;
        _taker.TakenByAnySocket = byAnySocket;

        PortDiagnosis diagnosis = await _watch.DiagnoseAsync(NotAvailable, _account);

        Assert.Equal(failure, diagnosis.Failure);
        Assert.Equal(failure, Standing.Failure);

        // The second, longer look only where the first does not suffice.
        Assert.Equal(taken >= 58 ? 1 : 2, _taker.Takes);
    }

    [Fact]
    public async Task A_port_of_ours_that_was_given_back_since_the_error_explains_it()
    {
        PortAccount other = _ledger.Connecting(_account.Tuple, _account.Range, _account.Usable);
        _ledger.Connected(other);
        _ledger.Closing(other);
        _ledger.Closed(other, PortDebt.None);

        Assert.Equal(PortFailure.Exhausted, (await _watch.DiagnoseAsync(NotAvailable, _account)).Failure);

        _time.Advance(PortLedger.FailureHold);
        Assert.Equal(PortFailure.UnusableAddress, (await _watch.DiagnoseAsync(NotAvailable, _account)).Failure);
    }

    [Fact]
    public async Task Where_nothing_can_be_counted_a_usable_address_means_exhausted()
    {
        _taker.Method = CensusMethod.LedgerOnly;

        Assert.Equal(PortFailure.Exhausted, (await _watch.DiagnoseAsync(NotAvailable, _account)).Failure);
        Assert.Equal(1, _taker.Takes);
    }

    [Fact]
    public async Task A_source_the_host_lacks_is_told_without_a_count()
    {
        PortAccount account = _ledger.Connecting(
            PortTuple.To(new IPEndPoint(IPAddress.Loopback, 6379), IPAddress.Parse("192.0.2.77")), new PortRange(40000, 40063), 64);

        PortDiagnosis diagnosis = await _watch.DiagnoseAsync(NotAvailable, account);

        Assert.Equal(PortFailure.UnusableAddress, diagnosis.Failure);
        Assert.Equal(0, _taker.Takes);
    }

    [Fact]
    public async Task Dials_that_fail_together_share_one_count()
    {
        using var gate = new ManualResetEventSlim();
        _taker.Taken = 64;
        _taker.Gate = gate;

        Task<PortDiagnosis>[] diagnoses = [.. Enumerable.Range(0, 20).Select(_ => _watch.DiagnoseAsync(NotAvailable, _account).AsTask())];
        Assert.All(diagnoses, diagnosis => Assert.False(diagnosis.IsCompleted));
        gate.Set();
        PortDiagnosis[] results = await Task.WhenAll(diagnoses).WaitAsync(Patience, TimeProvider.System, TestContext.Current.CancellationToken);

        Assert.All(results, result => Assert.Same(results[0].Census, result.Census));
        Assert.Equal(1, _taker.Takes);

        // And the next one counts anew.
        await _watch.DiagnoseAsync(NotAvailable, _account);
        Assert.Equal(2, _taker.Takes);
    }

    [Fact]
    public void A_sweep_counts_at_most_every_5_seconds_and_only_what_fills_up()
    {
        Hold(15);
        Assert.Empty(_watch.Sweep(isQuiet: true));
        Hold(1);
        Assert.Empty(_watch.Sweep(isQuiet: true));

        _time.Advance(PortWatch.SweepInterval);
        PortCensus census = Assert.Single(_watch.Sweep(isQuiet: true));
        Assert.Same(census, _account.LastCensus);
        Assert.Empty(_watch.Sweep(isQuiet: true));
        Assert.Equal(1, _taker.Takes);
    }

    [Fact]
    public void A_tuple_on_which_nothing_of_ours_happens_is_counted_more_seldom()
    {
        Hold(17);
        _watch.Sweep(isQuiet: false);
        for (TimeSpan passed = PortWatch.SweepInterval; passed < PortWatch.SteadyInterval; passed += PortWatch.SweepInterval)
        {
            _time.Advance(PortWatch.SweepInterval);
            Assert.Empty(_watch.Sweep(isQuiet: false));
        }

        _time.Advance(PortWatch.SweepInterval);
        Assert.Single(_watch.Sweep(isQuiet: false));
    }

    [Fact]
    public void And_where_nothing_is_lent_hardly_ever()
    {
        Hold(17);
        _watch.Sweep(isQuiet: true);
        Assert.Equal(1, _taker.Takes);
        for (TimeSpan passed = PortWatch.SweepInterval; passed < PortWatch.QuietInterval; passed += PortWatch.SweepInterval)
        {
            _time.Advance(PortWatch.SweepInterval);
            Assert.Empty(_watch.Sweep(isQuiet: true));
        }

        _time.Advance(PortWatch.SweepInterval);
        Assert.Single(_watch.Sweep(isQuiet: true));

        // Each event is news, a TIME_WAIT that runs out as well.
        Hold(1);
        AssertCountedAtTheNextSweep();
        _ledger.Closing(_account);
        AssertCountedAtTheNextSweep();
        _ledger.Closed(_account, PortDebt.TimeWait);
        AssertCountedAtTheNextSweep();
        _time.Advance(TimeSpan.FromSeconds(65.2));
        AssertCountedAtTheNextSweep();

        void AssertCountedAtTheNextSweep()
        {
            _time.Advance(PortWatch.SweepInterval);
            Assert.Single(_watch.Sweep(isQuiet: true));
            _time.Advance(PortWatch.SweepInterval);
            Assert.Empty(_watch.Sweep(isQuiet: true));
        }
    }

    [Fact]
    public void A_census_tells_ours_from_others()
    {
        var states = default(TcpStateCounts);
        for (int i = 0; i < 3; i++)
        {
            states.Add(TcpStates.SynSent);
        }

        var census = new PortCensus
        {
            Tuple = _account.Tuple,
            Range = _account.Range,
            Usable = 64,
            Method = CensusMethod.SockDiag,
            Ours = new PortUse(Connecting: 2, Live: 10, Closing: 1, Promised: 1, Owed: 5),
            Taken = 60,
            States = states,
            HostTimeWaits = 7,
        };

        // 10 + 1 + 5 held, and the 2 dials of ours are among the 3 that send a SYN.
        Assert.Equal(42, census.Others);
        Assert.Equal(
            "local ports 40000-40063 to 127.0.0.1:6379: 60 of 64 usable taken, 42 of them not by this process's pools (10 live, 2 connecting, 1 closing, 5 TIME_WAIT owed); by state: 3 SynSent; 7 TIME_WAITs on the host",
            census.ToString());
    }

    private PortStanding Standing => _ledger.Look(_account.Tuple, _account.Range);

    private void Hold(int ports)
    {
        for (int i = 0; i < ports; i++)
        {
            _ledger.Connected(_ledger.Connecting(_account.Tuple, _account.Range, _account.Usable));
        }
    }

    private sealed class FakeTaker : IPortCensusTaker
    {
        private int _takes;

        public int Takes => Volatile.Read(ref _takes);

        public int Taken { get; set; }

        public int? TakenByAnySocket { get; set; }

        public CensusMethod Method { get; set; } = CensusMethod.SockDiag;

        public ManualResetEventSlim? Gate { get; set; }

        public PortCensus Take(PortAccount account, bool anyDestination = false)
        {
            Interlocked.Increment(ref _takes);
            Gate?.Wait(Patience, TestContext.Current.CancellationToken);
            return FromLedger(account) with { Method = Method, Taken = Taken, TakenByAnySocket = anyDestination ? TakenByAnySocket : null };
        }

        public PortCensus FromLedger(PortAccount account) => new()
        {
            Tuple = account.Tuple,
            Range = account.Range,
            Usable = account.Usable,
            Method = CensusMethod.LedgerOnly,
            Ours = default,
        };
    }
}
