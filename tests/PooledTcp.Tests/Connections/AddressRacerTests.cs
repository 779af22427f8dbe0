using System.Net;
using System.Net.Sockets;
using PooledTcp.Configuration;
using PooledTcp.Connections;
using PooledTcp.Ports;
using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Connections;

/// <summary>
/// RFC 8305 on real sockets of loopback and a fake clock. An address that never answers is a listener whose queue is full:
/// Linux then drops the SYN.
/// </summary>
public sealed class AddressRacerTests : IDisposable
{
    private static readonly PortUse OneLive = new(Connecting: 0, Live: 1, Closing: 0, Promised: 0, Owed: 0);
    private static readonly IPAddress[] Loopbacks = [.. Enumerable.Range(1, 9).Select(static i => IPAddress.Parse($"127.0.0.{i}"))];

    private static readonly PoolSettings Settings = TestSettings.For("host", 1);

    private readonly FakeTime _time = new();
    private readonly LocalPorts _ports;
    private readonly AddressRacer _racer;
    private readonly List<Socket> _sockets = [];
    private readonly int _port;

    public AddressRacerTests()
    {
        _ports = new LocalPorts(_time, PortAbilities.None);
        _racer = new AddressRacer(new PortedDialer(_ports), _time);

        // A port that is free on every address: nothing else in these tests binds it.
        using Socket probe = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        probe.Bind(new IPEndPoint(IPAddress.Any, 0));
        _port = ((IPEndPoint)probe.LocalEndPoint!).Port;
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_first_address_that_answers_has_it_and_no_other_is_asked()
    {
        Listen(1);
        Listen(2);
        DialRace race = Race(1, 2);

        using var connected = new Closing(await ConnectAsync(race));

        Assert.Same(race.Targets[0], race.Winner);
        Assert.Equal(DialProgress.NotStarted, race.Look(1, out _));
        Assert.Equal(OneLive, _ports.Ledger.Total());
        Assert.Equal(0, _time.ArmedTimers);
    }

    [Fact]
    public async Task A_refusal_starts_the_next_one_at_once()
    {
        Listen(3);
        DialRace race = Race(1, 2, 3);

        using var connected = new Closing(await ConnectAsync(race));

        Assert.Same(race.Targets[2], race.Winner);
        Assert.Equal(DialProgress.Failed, race.Look(0, out Exception? error));
        Assert.Equal(SocketError.ConnectionRefused, Assert.IsType<SocketException>(error).SocketErrorCode);
        Assert.Equal(OneLive, _ports.Ledger.Total());
    }

    [Fact]
    public async Task Silence_starts_the_next_one_after_the_delay_and_the_loser_gives_its_port_back()
    {
        SkipUnlessSilent();
        Silent(1);
        Listen(2);
        DialRace race = Race(1, 2);
        Task<ConnectedSocket> connect = ConnectAsync(race).AsTask();
        await DelayAsync();

        _time.Advance(AddressRacer.AttemptDelay - TimeSpan.FromTicks(1));
        Assert.Equal(DialProgress.NotStarted, race.Look(1, out _));
        _time.Advance(TimeSpan.FromTicks(1));
        using var connected = new Closing(await connect.WaitAsync(PoolHarness.Hang, Token));

        Assert.Same(race.Targets[1], race.Winner);
        Assert.Equal(DialProgress.Started, race.Look(0, out _));
        await PoolHarness.UntilAsync(() => _ports.Ledger.Total() == OneLive);
    }

    [Fact]
    public async Task A_third_start_ends_the_oldest_so_two_run_at_most()
    {
        SkipUnlessSilent();
        Silent(1);
        Silent(2);
        Silent(3);
        Listen(4);
        DialRace race = Race(1, 2, 3, 4);
        Task<ConnectedSocket> connect = ConnectAsync(race).AsTask();
        for (int started = 1; started < 4; started++)
        {
            await DelayAsync();
            Assert.Equal(Math.Min(started, 2), _ports.Ledger.Total().Connecting);
            _time.Advance(AddressRacer.AttemptDelay);
        }

        using var connected = new Closing(await connect.WaitAsync(PoolHarness.Hang, Token));

        Assert.Same(race.Targets[3], race.Winner);
        await PoolHarness.UntilAsync(() => _ports.Ledger.Total() == OneLive);
    }

    [Fact]
    public async Task The_last_two_have_the_rest_of_the_time()
    {
        SkipUnlessSilent();
        Silent(1);
        Silent(2);
        using CancellationTokenSource budget = new();
        DialRace race = Race(1, 2);
        Task<ConnectedSocket> connect = _racer.ConnectAsync(Settings, race, budget.Token).AsTask();
        await DelayAsync();
        _time.Advance(AddressRacer.AttemptDelay);
        await PoolHarness.UntilAsync(() => _ports.Ledger.Total().Connecting == 2);

        _time.Advance(TimeSpan.FromHours(1));
        Assert.False(connect.IsCompleted);
        await budget.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => connect.WaitAsync(PoolHarness.Hang, Token));
        await PoolHarness.UntilAsync(() => _ports.Ledger.Total() == default);
        Assert.Null(race.Winner);
        Assert.Equal(DialProgress.Started, race.Look(1, out _));
    }

    [Fact]
    public async Task All_refused_is_one_error_that_says_how_many_and_has_the_last_inside()
    {
        DialRace race = Race(1, 2, 3);

        IOException error = await Assert.ThrowsAsync<IOException>(() => ConnectAsync(race).AsTask());

        Assert.StartsWith($"All 3 addresses failed, at last 127.0.0.3:{_port}: ", error.Message, StringComparison.Ordinal);
        Assert.Equal(SocketError.ConnectionRefused, Assert.IsType<SocketException>(error.InnerException).SocketErrorCode);
        Assert.Equal(default, _ports.Ledger.Total());
    }

    [Fact]
    public async Task One_address_fails_as_the_system_says()
    {
        SocketException error = await Assert.ThrowsAsync<SocketException>(() => ConnectAsync(Race(1)).AsTask());
        Assert.Equal(SocketError.ConnectionRefused, error.SocketErrorCode);
    }

    [Fact]
    public async Task An_address_without_a_free_port_does_not_hide_one_that_works()
    {
        Exhaust(1);
        Listen(2);
        DialRace race = Race(1, 2);

        using var connected = new Closing(await ConnectAsync(race));

        Assert.Same(race.Targets[1], race.Winner);
        Assert.Equal(DialProgress.Failed, race.Look(0, out Exception? error));
        Assert.IsType<NoLocalPortException>(error);
    }

    /// <summary>Its caller may wait for a port; a refusal would end the wait.</summary>
    [Fact]
    public async Task When_all_fail_a_missing_port_is_what_is_told()
    {
        Exhaust(1);
        await Assert.ThrowsAsync<NoLocalPortException>(() => ConnectAsync(Race(1, 2)).AsTask());
        await Assert.ThrowsAsync<NoLocalPortException>(() => ConnectAsync(Race(2, 1)).AsTask());
    }

    [Fact]
    public async Task An_ipv6_address_that_cannot_be_reached_gives_way_to_ipv4()
    {
        Listen(1);
        DialRace race = ConnectorExtensions.Race([IPAddress.IPv6Loopback, Loopbacks[0]], _port);

        using var connected = new Closing(await ConnectAsync(race));

        Assert.Same(race.Targets[1], race.Winner);
    }

    public void Dispose() => _sockets.ForEach(static socket => socket.Dispose());

    private static void SkipUnlessSilent() =>
        Assert.SkipUnless(OperatingSystem.IsLinux(), "relies on a full accept queue dropping the SYN");

    private ValueTask<ConnectedSocket> ConnectAsync(DialRace race) => _racer.ConnectAsync(Settings, race, Token);

    /// <summary>Until the race waits for its delay.</summary>
    private Task DelayAsync() => PoolHarness.UntilAsync(() => _time.ArmedTimers == 1);

    private DialRace Race(params int[] hosts) => ConnectorExtensions.Race(hosts.Select(static host => Loopbacks[host - 1]), _port);

    private Socket Listen(int host, int backlog = 16)
    {
        Socket listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        _sockets.Add(listener);
        listener.Bind(new IPEndPoint(Loopbacks[host - 1], _port));
        listener.Listen(backlog);
        return listener;
    }

    private void Silent(int host)
    {
        Socket listener = Listen(host, backlog: 0);
        Socket filler = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        _sockets.Add(filler);
        filler.Connect(listener.LocalEndPoint!);
    }

    /// <summary>What the ledger holds against a tuple for a second after a dial found no port there.</summary>
    private void Exhaust(int host)
    {
        Assert.True(_ports.Planner.TryBegin(new PortPolicy(), new IPEndPoint(Loopbacks[host - 1], _port), out PortAccount? account, out _));
        _ports.Ledger.MarkFailed(account, PortFailure.Exhausted);
        _ports.Ledger.ConnectFailed(account);
    }

    private sealed class Closing(ConnectedSocket socket) : IDisposable
    {
        public void Dispose() => socket.Close();
    }
}
