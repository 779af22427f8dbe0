using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using PooledTcp.Configuration;
using PooledTcp.Connections;
using Xunit;

namespace PooledTcp.Tests.Connections;

/// <summary>
/// A client certificate under an intermediate, to a server that trusts the root and knows the intermediate from the
/// handshake or not at all. The chain is new in every test, so no store can have it.
/// </summary>
public sealed class ClientCertificateChainTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("pooledtcp-").FullName;
    private readonly ClientChain _chain = new();

    public static TheoryData<string, SslProtocols> Sources => new()
    {
        { "pfx", SslProtocols.Tls12 },
        { "pfx", SslProtocols.Tls13 },
        { "pem", SslProtocols.Tls12 },
        { "pem", SslProtocols.Tls13 },
        { "code", SslProtocols.Tls12 },
        { "code", SslProtocols.Tls13 },
        { "code, issuer first", SslProtocols.Tls12 },
        { "code, issuer first", SslProtocols.Tls13 },
    };

    public void Dispose()
    {
        _chain.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Theory]
    [MemberData(nameof(Sources))]
    public async Task The_intermediate_is_sent_with_the_certificate(string source, SslProtocols protocol)
    {
        TlsSettings settings = Settings(protocol, tls => Configure(tls, source));
        using Socket listener = LoopbackSockets.Listen();

        // Twice: the second dial takes what the first one built, and must not resume its session, which has no intermediate.
        for (int dial = 0; dial < 2; dial++)
        {
            (Transport client, SslStream server) = await ConnectAsync(listener, settings);
            Assert.Equal(_chain.Leaf.Thumbprint, server.RemoteCertificate!.GetCertHashString());

            // TLS 1.3 hands out its tickets with the first bytes.
            await server.WriteAsync(new byte[1], LoopbackSockets.Deadline());
            Assert.Equal(1, await client.ReceiveAsync(new byte[1], LoopbackSockets.Deadline()));
            client.Close();
            await server.DisposeAsync();
        }
    }

    /// <summary>The control: were this accepted, the server would know the intermediate, and the test above show nothing.</summary>
    [Theory]
    [InlineData(SslProtocols.Tls12)]
    [InlineData(SslProtocols.Tls13)]
    public async Task A_server_that_is_sent_no_intermediate_refuses(SslProtocols protocol)
    {
        TlsSettings settings = Settings(protocol, tls => tls.ClientCertificates.Add(_chain.Leaf));
        using Socket listener = LoopbackSockets.Listen();
        Task<SslStream> accepted = AcceptAsync(listener);
        Task<Transport> connected = DialAsync(listener, settings);
        await Assert.ThrowsAsync<AuthenticationException>(() => accepted);
        try
        {
            (await connected).Close();
        }
        catch (Exception e) when (e is IOException or AuthenticationException)
        {
            // TLS 1.2 waits for the server's verdict; in TLS 1.3 the client finishes first.
        }
    }

    [Fact]
    public void It_is_built_once_per_settings_and_follows_the_certificates()
    {
        TlsSettings settings = Settings(SslProtocols.None, tls => Configure(tls, "code"));
        SslStreamCertificateContext built = settings.GetClientCertificate()!;
        Assert.Same(built, settings.GetClientCertificate());
        Assert.Same(built, (settings with { Protocols = SslProtocols.Tls13 }).GetClientCertificate());
        Assert.Equal(_chain.Intermediate.Thumbprint, Assert.Single(built.IntermediateCertificates).Thumbprint);

        TlsSettings other = settings with { ClientCertificates = [TestCertificates.Client] };
        Assert.Equal(TestCertificates.Client.Thumbprint, other.GetClientCertificate()!.TargetCertificate.Thumbprint);
        Assert.Null((settings with { ClientCertificates = null }).GetClientCertificate());
    }

    private void Configure(TcpTlsOptions tls, string source)
    {
        switch (source)
        {
            case "pfx":
                X509Certificate2Collection all = [_chain.Leaf, _chain.Intermediate];
                tls.ClientCertificatePath = Path.Combine(_folder, "client.pfx");
                File.WriteAllBytes(tls.ClientCertificatePath, all.Export(X509ContentType.Pkcs12, "secret")!);
                tls.ClientCertificatePassword = "secret";
                break;
            case "pem":
                tls.ClientCertificatePath = Path.Combine(_folder, "client.pem");
                File.WriteAllText(
                    tls.ClientCertificatePath,
                    $"{_chain.Leaf.ExportCertificatePem()}\n{_chain.LeafKey.ExportPkcs8PrivateKeyPem()}\n{_chain.Intermediate.ExportCertificatePem()}\n");
                break;
            case "code":
                tls.ClientCertificates.Add(_chain.Leaf);
                tls.ClientCertificates.Add(_chain.Intermediate);
                break;
            default:
                tls.ClientCertificates.Add(_chain.Intermediate);
                tls.ClientCertificates.Add(_chain.Leaf);
                break;
        }
    }

    private static TlsSettings Settings(SslProtocols protocol, Action<TcpTlsOptions> configure)
    {
        PooledTcpOptions options = new();
        options.AddEndpoint("cache", endpoint =>
        {
            endpoint.Address = "127.0.0.1:1";
            endpoint.Tls.Enabled = true;
            endpoint.Tls.TargetHost = TestCertificates.ServerName;
            endpoint.Tls.Protocols = protocol;
            endpoint.Tls.RemoteCertificateValidationCallback = TestSettings.PinnedTls().Validate;
            configure(endpoint.Tls);
        });
        return SettingsFactory.Create(options).GetEndpoint("cache").Tls!;
    }

    private async Task<(Transport Client, SslStream Server)> ConnectAsync(Socket listener, TlsSettings settings)
    {
        Task<SslStream> accepted = AcceptAsync(listener);
        Task<Transport> connected = DialAsync(listener, settings);
        SslStream server = await accepted;
        return (await connected, server);
    }

    private static Task<Transport> DialAsync(Socket listener, TlsSettings settings) =>
        new SocketConnector("cache", connectCallback: null, TestSettings.Ports)
            .ConnectAsync(TestSettings.For("127.0.0.1", LoopbackSockets.PortOf(listener), settings), LoopbackSockets.Deadline()).AsTask();

    private async Task<SslStream> AcceptAsync(Socket listener)
    {
        Socket socket = await listener.AcceptAsync(LoopbackSockets.Deadline());
        var stream = new SslStream(new NetworkStream(socket, ownsSocket: true));
        var policy = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            RevocationMode = X509RevocationMode.NoCheck,
            DisableCertificateDownloads = true,
        };
        policy.CustomTrustStore.Add(_chain.Root);
        try
        {
            await stream.AuthenticateAsServerAsync(
                new SslServerAuthenticationOptions
                {
                    ServerCertificate = TestCertificates.Server,
                    ClientCertificateRequired = true,
                    CertificateChainPolicy = policy,
                },
                LoopbackSockets.Deadline());
            return stream;
        }
        catch
        {
            await stream.DisposeAsync();
            throw;
        }
    }

    /// <summary>Root, intermediate and leaf, where only the leaf has its key at hand.</summary>
    private sealed class ClientChain : IDisposable
    {
        private static readonly DateTimeOffset NotBefore = DateTimeOffset.UnixEpoch.AddYears(50);
        private static readonly DateTimeOffset NotAfter = DateTimeOffset.UnixEpoch.AddYears(130);

        public ClientChain()
        {
            using var rootKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            using var intermediateKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            string run = Guid.NewGuid().ToString("N");
            using X509Certificate2 root = Request($"CN=root {run}", rootKey, isAuthority: true).CreateSelfSigned(NotBefore, NotAfter);
            using X509Certificate2 bare = Request($"CN=intermediate {run}", intermediateKey, isAuthority: true).Create(root, NotBefore, NotAfter, Serial());
            using X509Certificate2 signer = bare.CopyWithPrivateKey(intermediateKey);
            using X509Certificate2 leaf = Request($"CN=client {run}", LeafKey, isAuthority: false).Create(signer, NotBefore, NotAfter, Serial());
            using X509Certificate2 withKey = leaf.CopyWithPrivateKey(LeafKey);
            Root = X509CertificateLoader.LoadCertificate(root.RawData);
            Intermediate = X509CertificateLoader.LoadCertificate(bare.RawData);
            Leaf = X509CertificateLoader.LoadPkcs12(withKey.Export(X509ContentType.Pfx), null, X509KeyStorageFlags.Exportable);
        }

        public ECDsa LeafKey { get; } = ECDsa.Create(ECCurve.NamedCurves.nistP256);

        public X509Certificate2 Root { get; }

        public X509Certificate2 Intermediate { get; }

        public X509Certificate2 Leaf { get; }

        public void Dispose()
        {
            LeafKey.Dispose();
            Root.Dispose();
            Intermediate.Dispose();
            Leaf.Dispose();
        }

        private static CertificateRequest Request(string name, ECDsa key, bool isAuthority)
        {
            var request = new CertificateRequest(name, key, HashAlgorithmName.SHA256);
            request.CertificateExtensions.Add(new X509BasicConstraintsExtension(isAuthority, false, 0, true));
            return request;
        }

        private static byte[] Serial() => [1, .. RandomNumberGenerator.GetBytes(8)];
    }
}
