using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using PooledTcp.Configuration;
using PooledTcp.Connections;
using PooledTcp.Tests.Connections;
using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests;

/// <summary>What a caller reads when a dial on the wire has failed.</summary>
public sealed class EndpointUnavailableTests
{
    [Fact]
    public async Task A_refused_connect_has_its_socket_error_and_tells_it_once()
    {
        int port;
        using (Socket closed = LoopbackSockets.Listen())
        {
            port = LoopbackSockets.PortOf(closed);
        }

        await using PooledTcpClient client = Client(port, tls: false);
        var error = await Assert.ThrowsAsync<EndpointUnavailableException>(() => RentAsync(client));

        Assert.Equal(SocketError.ConnectionRefused, error.SocketErrorCode);
        AssertToldOnce(error, error.InnerException!.Message);
    }

    [Fact]
    public async Task A_reset_in_the_tls_handshake_has_its_socket_error()
    {
        using Socket listener = LoopbackSockets.Listen();
        await using PooledTcpClient client = Client(LoopbackSockets.PortOf(listener), tls: true);
        Task<TcpLease> rent = RentAsync(client);
        Socket server = await listener.AcceptAsync(LoopbackSockets.Deadline());
        Assert.NotEqual(0, await server.ReceiveAsync(new byte[4096], LoopbackSockets.Deadline()));
        LoopbackSockets.Reset(server);

        var error = await Assert.ThrowsAsync<EndpointUnavailableException>(() => rent);

        Assert.Equal(SocketError.ConnectionReset, error.SocketErrorCode);
        AssertToldOnce(error, error.GetBaseException().Message);
    }

    /// <summary>Over TLS, SslStream's exception and the lease's stand around the socket's.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_reset_in_the_protocols_handshake_has_its_socket_error(bool tls)
    {
        using Socket listener = LoopbackSockets.Listen();
        ClientSettings settings = SettingsFactory.Create(Options(LoopbackSockets.PortOf(listener), tls));
        EndpointHooks hooks = new()
        {
            Handshake = static async (lease, cancellationToken) => await lease.ReceiveAsync(new byte[1], cancellationToken),
        };
        await using PooledTcpClient client = new(
            settings, new Dictionary<string, EndpointHooks> { ["server"] = hooks }, loggerFactory: null, meterFactory: null, timeProvider: null);
        Task<TcpLease> rent = RentAsync(client);
        Socket socket = await listener.AcceptAsync(LoopbackSockets.Deadline());
        await using var server = new TlsServerEnd(socket);
        if (tls)
        {
            await server.AcceptAsync();
        }

        LoopbackSockets.Reset(socket);

        var error = await Assert.ThrowsAsync<EndpointUnavailableException>(() => rent);

        Assert.Equal(SocketError.ConnectionReset, error.SocketErrorCode);
        AssertToldOnce(error, error.GetBaseException().Message);
    }

    [Fact]
    public async Task A_refusal_by_tls_tells_what_the_inner_exception_says()
    {
        using Socket listener = LoopbackSockets.Listen();
        await using PooledTcpClient client = Client(LoopbackSockets.PortOf(listener), tls: true);
        Task<TcpLease> rent = RentAsync(client);
        using Socket socket = await listener.AcceptAsync(LoopbackSockets.Deadline());
        await using var server = new SslStream(new NetworkStream(socket));

        // The client offers 1.3 and nothing else.
        await Assert.ThrowsAsync<AuthenticationException>(() => server.AuthenticateAsServerAsync(
            new SslServerAuthenticationOptions { ServerCertificate = TestCertificates.Server, EnabledSslProtocols = SslProtocols.Tls12 },
            LoopbackSockets.Deadline()));

        var error = await Assert.ThrowsAsync<EndpointUnavailableException>(() => rent);

        string root = error.GetBaseException().Message;
        Assert.DoesNotContain(root, Assert.IsType<AuthenticationException>(error.InnerException).Message, StringComparison.Ordinal);
        AssertToldOnce(error, root);
        Assert.Null(error.SocketErrorCode);
    }

    [Fact]
    public async Task Dials_that_fail_alike_tell_it_once_each()
    {
        await using PoolHarness pool = new();
        Task<TcpLease> first = pool.RentAsync();
        FakeDial firstDial = await pool.Connector.NextAsync();
        Task<TcpLease> second = pool.RentAsync();
        FakeDial secondDial = await pool.Connector.NextAsync();
        foreach ((FakeDial dial, Task<TcpLease> rent) in new[] { (firstDial, first), (secondDial, second) })
        {
            dial.Fail(new IOException("outer", new IOException("no route")));
            AssertToldOnce(await Assert.ThrowsAsync<EndpointUnavailableException>(() => rent), "outer no route");
        }
    }

    private static void AssertToldOnce(EndpointUnavailableException error, string what)
    {
        Assert.Equal(2, error.Message.Split(what).Length);
        Assert.DoesNotContain("last dial error", error.Message, StringComparison.Ordinal);
    }

    private static Task<TcpLease> RentAsync(PooledTcpClient client) => client.RentAsync("server", LoopbackSockets.Deadline()).AsTask();

    private static PooledTcpClient Client(int port, bool tls) => new(Options(port, tls));

    private static PooledTcpOptions Options(int port, bool tls) => new PooledTcpOptions().AddEndpoint("server", endpoint =>
    {
        endpoint.Address = $"127.0.0.1:{port}";
        endpoint.Tls.Enabled = tls;
        endpoint.Tls.TargetHost = TestCertificates.ServerName;
        endpoint.Tls.Protocols = SslProtocols.Tls13;
        endpoint.Tls.RemoteCertificateValidationCallback = TestSettings.PinnedTls().Validate;
    });
}
