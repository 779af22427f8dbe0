using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using PooledTcp.Configuration;
using PooledTcp.Connections;
using Xunit;

namespace PooledTcp.Tests.Connections;

/// <summary>Who the connector talks TLS with. Every refusal also leaves no socket: the server sees the end of the connection.</summary>
public sealed class TlsVerificationTests
{
    public static TheoryData<SslProtocols> Protocols => new() { SslProtocols.Tls12, SslProtocols.Tls13 };

    [Theory]
    [MemberData(nameof(Protocols))]
    public async Task An_untrusted_certificate_is_refused_by_default(SslProtocols protocol)
    {
        TlsSettings settings = new() { TargetHost = TestCertificates.ServerName, Protocols = protocol };
        await AssertRefusedAsync(settings);
    }

    [Theory]
    [MemberData(nameof(Protocols))]
    public async Task A_pinned_certificate_is_accepted_under_its_name(SslProtocols protocol)
    {
        using var server = new Server();
        Transport client = await server.ConnectAsync(TestSettings.PinnedTls(protocol));
        SslStream accepted = await server.Accepted;
        Assert.Equal(protocol, accepted.SslProtocol);
        Assert.Equal(TestCertificates.ServerName, accepted.TargetHostName);
        client.Close();
    }

    [Theory]
    [MemberData(nameof(Protocols))]
    public async Task A_wrong_host_name_is_refused(SslProtocols protocol) =>
        await AssertRefusedAsync(TestSettings.PinnedTls(protocol) with { TargetHost = "other.test" });

    [Theory]
    [MemberData(nameof(Protocols))]
    public async Task The_client_certificate_is_delivered(SslProtocols protocol)
    {
        using var server = new Server(requireClientCertificate: true);
        Transport client = await server.ConnectAsync(
            TestSettings.PinnedTls(protocol) with { ClientCertificates = [TestCertificates.Client] });
        SslStream accepted = await server.Accepted;
        Assert.Equal(TestCertificates.Client.GetCertHashString(), accepted.RemoteCertificate!.GetCertHashString());
        client.Close();
    }

    [Theory]
    [MemberData(nameof(Protocols))]
    public async Task Alpn_is_negotiated_in_our_order(SslProtocols protocol)
    {
        using var server = new Server(alpn: ["resp2", "resp3"]);
        Transport client = await server.ConnectAsync(TestSettings.PinnedTls(protocol) with { ApplicationProtocols = "resp9,resp3" });
        Assert.Equal(new SslApplicationProtocol("resp3"), (await server.Accepted).NegotiatedApplicationProtocol);
        client.Close();
    }

    [Fact]
    public async Task Only_the_configured_protocols_are_offered()
    {
        using var server = new Server(protocols: SslProtocols.Tls12);
        await Assert.ThrowsAsync<AuthenticationException>(() => server.ConnectAsync(TestSettings.PinnedTls(SslProtocols.Tls13)));
        await server.AssertDisconnectedAsync();
    }

    /// <summary>SslStream hands its verification over with the chain it has built, and that chain says how.</summary>
    [Theory]
    [InlineData(true, X509RevocationMode.Online)]
    [InlineData(false, X509RevocationMode.NoCheck)]
    public async Task CheckRevocation_reaches_the_verification(bool check, X509RevocationMode expected)
    {
        X509RevocationMode? seen = null;
        PooledTcpOptions options = new();
        options.AddEndpoint("cache", endpoint =>
        {
            endpoint.Address = "127.0.0.1:1";
            endpoint.Tls.Enabled = true;
            endpoint.Tls.CheckRevocation = check;
            endpoint.Tls.RemoteCertificateValidationCallback = (_, certificate, chain, _) =>
            {
                seen = chain!.ChainPolicy.RevocationMode;
                return certificate!.GetCertHashString() == TestCertificates.Server.Thumbprint;
            };
        });
        using var server = new Server();
        Transport client = await server.ConnectAsync(SettingsFactory.Create(options).GetEndpoint("cache").Tls!);
        Assert.Equal(expected, seen);
        client.Close();
    }

    /// <summary>Not on the wire: a server whose request is refused (TLS 1.2) gets no answer, and waits.</summary>
    [Fact]
    public void Renegotiation_is_off() =>
        Assert.False(TlsTransport.ToClientOptions(TestSettings.PinnedTls(SslProtocols.Tls12)).AllowRenegotiation);

    [Fact]
    public async Task A_server_that_closes_in_the_handshake_is_an_io_error()
    {
        using Socket listener = LoopbackSockets.Listen();
        Task<Transport> connect = ConnectAsync(listener, TestSettings.PinnedTls(), LoopbackSockets.Deadline());
        using (Socket server = await listener.AcceptAsync(LoopbackSockets.Deadline()))
        {
            byte[] hello = new byte[4096];
            Assert.NotEqual(0, await server.ReceiveAsync(hello, LoopbackSockets.Deadline()));
        }

        await Assert.ThrowsAsync<IOException>(() => connect);
    }

    [Fact]
    public async Task A_stalled_handshake_is_cancelled_and_leaves_no_socket()
    {
        using Socket listener = LoopbackSockets.Listen();
        using var cancellation = new CancellationTokenSource();
        Task<Transport> connect = ConnectAsync(listener, TestSettings.PinnedTls(), cancellation.Token);
        using Socket server = await listener.AcceptAsync(LoopbackSockets.Deadline());
        byte[] hello = new byte[4096];
        Assert.NotEqual(0, await server.ReceiveAsync(hello, LoopbackSockets.Deadline()));

        await cancellation.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => connect);
        Assert.Equal(0, await server.ReceiveAsync(hello, LoopbackSockets.Deadline()));
    }

    private static async Task AssertRefusedAsync(TlsSettings settings)
    {
        using var server = new Server();
        await Assert.ThrowsAsync<AuthenticationException>(() => server.ConnectAsync(settings));
        await server.AssertDisconnectedAsync();
    }

    private static Task<Transport> ConnectAsync(Socket listener, TlsSettings settings, CancellationToken cancellationToken) =>
        new SocketConnector("cache", connectCallback: null, TestSettings.Ports)
            .ConnectAsync(TestSettings.For("127.0.0.1", LoopbackSockets.PortOf(listener), settings), cancellationToken).AsTask();

    private sealed class Server : IDisposable
    {
        private readonly Socket _listener = LoopbackSockets.Listen();
        private readonly SslServerAuthenticationOptions _options;

        public Server(SslProtocols protocols = SslProtocols.None, bool requireClientCertificate = false, string[]? alpn = null)
        {
            _options = new SslServerAuthenticationOptions
            {
                ServerCertificate = TestCertificates.Server,
                EnabledSslProtocols = protocols,
                ClientCertificateRequired = requireClientCertificate,
                RemoteCertificateValidationCallback = (_, certificate, _, _) => certificate is not null || !requireClientCertificate,
                ApplicationProtocols = alpn?.Select(static name => new SslApplicationProtocol(name)).ToList(),
            };
            Accepted = AcceptAsync();
        }

        public Task<SslStream> Accepted { get; }

        public Task<Transport> ConnectAsync(TlsSettings settings) =>
            TlsVerificationTests.ConnectAsync(_listener, settings, LoopbackSockets.Deadline());

        /// <summary>The handshake failed here too, or (TLS 1.3 may finish first at the server) the stream ends.</summary>
        public async Task AssertDisconnectedAsync()
        {
            try
            {
                SslStream stream = await Accepted;
                Assert.Equal(0, await stream.ReadAsync(new byte[16], LoopbackSockets.Deadline()));
            }
            catch (Exception e) when (e is IOException or AuthenticationException)
            {
                Assert.IsNotType<OperationCanceledException>(e.InnerException);
            }
        }

        public void Dispose() => _listener.Dispose();

        private async Task<SslStream> AcceptAsync()
        {
            Socket socket = await _listener.AcceptAsync(LoopbackSockets.Deadline());
            var stream = new SslStream(new NetworkStream(socket, ownsSocket: true));
            await stream.AuthenticateAsServerAsync(_options, LoopbackSockets.Deadline());
            return stream;
        }
    }
}
