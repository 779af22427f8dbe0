using System.Net;
using System.Net.Sockets;
using PooledTcp.Configuration;
using PooledTcp.Connections;
using PooledTcp.Ports;
using Xunit;

namespace PooledTcp.Tests.Connections;

/// <summary>Which source a dial comes from when one fails, what it says when all do, and that the ledger is even afterwards.</summary>
public sealed class PortedDialerTests : IDisposable
{
    // Documentation addresses (RFC 5737), which no host has.
    private static readonly IPAddress Absent = IPAddress.Parse("192.0.2.77");
    private static readonly IPAddress AbsentToo = IPAddress.Parse("192.0.2.78");

    private readonly Socket _listener = LoopbackSockets.Listen();

    private readonly LocalPorts _ports = new(TimeProvider.System, new PortAbilities { BindAddressNoPort = true });

    public PortedDialerTests() =>
        Assert.SkipUnless(OperatingSystem.IsLinux() && PortAbilities.Detected.BindAddressNoPort, "needs IP_BIND_ADDRESS_NO_PORT");

    private IPEndPoint Server => (IPEndPoint)_listener.LocalEndPoint!;

    [Fact]
    public async Task An_unusable_source_leads_to_the_next()
    {
        ConnectedSocket socket = await DialAsync([Absent, IPAddress.Loopback]);
        Assert.Equal(IPAddress.Loopback, ((IPEndPoint)socket.LocalEndPoint!).Address);
        Assert.Equal(new PortUse(0, Live: 1, 0, 0, 0), _ports.Ledger.Total());
        new PortedDialer(_ports).GiveUp(socket, TestSettings.For("127.0.0.1", 1));
        Assert.Equal(0, _ports.Ledger.Total().Live + _ports.Ledger.Total().Closing);
    }

    [Fact]
    public async Task With_none_usable_the_error_names_one_and_the_setting()
    {
        SocketException e = await Assert.ThrowsAsync<SocketException>(() => DialAsync([Absent, AbsentToo]));
        Assert.Equal(SocketError.AddressNotAvailable, e.SocketErrorCode);
        Assert.Contains("192.0.2.7", e.Message, StringComparison.Ordinal);
        Assert.Contains("Ports.SourceAddresses", e.Message, StringComparison.Ordinal);
        Assert.Equal(default, _ports.Ledger.Total());
    }

    [Fact]
    public async Task An_exhausted_source_leads_to_the_next_and_all_of_them_to_a_wait()
    {
        IPAddress other = IPAddress.Parse("127.0.0.2");
        PortAccount first = Exhaust(IPAddress.Loopback);
        ConnectedSocket socket = await DialAsync([IPAddress.Loopback, other]);
        Assert.Equal(other, ((IPEndPoint)socket.LocalEndPoint!).Address);
        socket.Close();

        Exhaust(other);
        NoLocalPortException e = await Assert.ThrowsAsync<NoLocalPortException>(() => DialAsync([IPAddress.Loopback, other]));
        Assert.Contains("No local port", e.Message, StringComparison.Ordinal);
        Assert.NotNull(first);
    }

    [Fact]
    public async Task As_long_as_one_source_lacks_only_a_port_an_unusable_one_is_no_error()
    {
        Exhaust(IPAddress.Loopback);
        await Assert.ThrowsAsync<NoLocalPortException>(() => DialAsync([Absent, IPAddress.Loopback]));
    }

    [Fact]
    public async Task An_address_that_lacks_a_port_is_waited_for_although_another_refused()
    {
        Exhaust(source: null);
        int closed;
        using (Socket refuses = LoopbackSockets.Listen())
        {
            closed = LoopbackSockets.PortOf(refuses);
        }

        Assert.NotEqual(closed, Server.Port);
        DialRace race = ConnectorExtensions.Race([IPAddress.Loopback, IPAddress.Parse("127.0.0.3")], Server.Port);
        await Assert.ThrowsAsync<NoLocalPortException>(
            async () => await new SocketConnector("cache", null, _ports).ConnectAsync(TestSettings.For("host", Server.Port), race, LoopbackSockets.Deadline()));
    }

    [Fact]
    public async Task A_cancelled_dial_leaves_nothing_in_the_ledger()
    {
        using CancellationTokenSource cancelled = new();
        await cancelled.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            async () => await new PortedDialer(_ports).ConnectAsync(new PortPolicy(), Server, cancelled.Token));
        Assert.Equal(0, _ports.Ledger.Count);
    }

    [Fact]
    public async Task A_destination_whose_sockets_cannot_be_made_leaves_nothing_in_the_ledger()
    {
        // 65536 is no port a socket could connect to, but a family nobody supports fails where EMFILE would: at the socket.
        await Assert.ThrowsAnyAsync<SocketException>(
            async () => await new PortedDialer(_ports).ConnectAsync(new PortPolicy(), new Nowhere(), LoopbackSockets.Deadline()));
        Assert.Equal(0, _ports.Ledger.Count);
    }

    [Fact]
    public async Task A_callbacks_socket_is_in_the_books_until_it_is_given_up()
    {
        (Socket client, Socket server) = await LoopbackSockets.ConnectAsync();
        using (server)
        {
            PortedDialer dialer = new(_ports);
            ConnectedSocket adopted = dialer.Adopt(client);
            Assert.Equal(1, _ports.Ledger.Total().Live);
            dialer.GiveUp(adopted, TestSettings.For("127.0.0.1", 1));
            Assert.Equal(0, _ports.Ledger.Total().Live + _ports.Ledger.Total().Closing + _ports.Ledger.Total().Connecting);
        }
    }

    [Fact]
    public async Task A_TLS_handshake_that_fails_gives_everything_back()
    {
        SocketConnector connector = new("cache", null, _ports);
        PoolSettings settings = TestSettings.For("127.0.0.1", Server.Port, TestSettings.PinnedTls());
        Task<Transport> dial = connector.ConnectAsync(settings, LoopbackSockets.Deadline()).AsTask();
        using (Socket server = await _listener.AcceptAsync(LoopbackSockets.Deadline()))
        {
            await server.SendAsync("no TLS here, and no record either"u8.ToArray(), LoopbackSockets.Deadline());
            await Assert.ThrowsAnyAsync<Exception>(() => dial);
        }

        PortUse use = _ports.Ledger.Total();
        Assert.Equal(0, use.Live + use.Closing + use.Connecting + use.Promised);
    }

    public void Dispose() => _listener.Dispose();

    private Task<ConnectedSocket> DialAsync(IPAddress[] sources) =>
        new PortedDialer(_ports).ConnectAsync(new PortPolicy { SourceAddresses = sources }, Server, LoopbackSockets.Deadline()).AsTask();

    private PortAccount Exhaust(IPAddress? source)
    {
        PortRange range = _ports.Kernel.Current.AssumedRange;
        PortAccount account = _ports.Ledger.Connecting(PortTuple.To(Server, source), range, _ports.Kernel.Current.CountUsable(range));
        _ports.Ledger.MarkFailed(account, PortFailure.Exhausted);
        return account;
    }

    private sealed class Nowhere() : IPEndPoint(IPAddress.Loopback, 1)
    {
        public override AddressFamily AddressFamily => AddressFamily.AppleTalk;
    }
}
