using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;

namespace PooledTcp;

/// <summary>
/// TLS of an endpoint. The server's certificate is verified by default. What is set here while <see cref="Enabled"/>
/// is false rests: defaults may hold an identity that single endpoints switch on.
/// </summary>
public sealed class TcpTlsOptions
{
    /// <summary>Speaks TLS on every connection, from the first byte.</summary>
    /// <value>Default: false.</value>
    public bool Enabled { get; set; }

    /// <summary>The name sent as SNI and expected in the server's certificate.</summary>
    /// <value>
    /// A host name or IP literal without port, brackets or scope. Default: null, which takes the host of the address;
    /// a unix socket has none, so it is required there.
    /// </value>
    public string? TargetHost { get; set; }

    /// <summary>The protocol versions to offer. In configuration: <c>"Tls13"</c> or <c>"Tls12, Tls13"</c>.</summary>
    /// <value>
    /// <see cref="SslProtocols.Tls12"/>, <see cref="SslProtocols.Tls13"/> or both.
    /// Default: <see cref="SslProtocols.None"/>, which leaves the choice to the operating system's policy.
    /// </value>
    public SslProtocols Protocols { get; set; } = SslProtocols.None;

    /// <summary>
    /// ALPN protocol names, most wanted first. A list in configuration replaces an inherited one as a whole;
    /// an empty list clears it.
    /// </summary>
    /// <value>Each 1 to 255 bytes, no comma, no name twice. Default: empty, which sends no ALPN.</value>
    public IList<string> ApplicationProtocols { get; private set; } = [];

    /// <summary>Asks online whether the server's certificate was revoked. It costs a request to the issuer, within the connect budget.</summary>
    /// <value>Default: false, as in <see cref="SslClientAuthenticationOptions"/>.</value>
    public bool CheckRevocation { get; set; }

    /// <summary>
    /// File of the client's certificate with its private key: PKCS #12 (<c>.pfx</c>), or PEM. It is read at start and at
    /// each reload, so that a renewed one is taken then. Not together with <see cref="ClientCertificates"/>.
    /// </summary>
    /// <value>A path; null for none. Default: null.</value>
    public string? ClientCertificatePath { get; set; }

    /// <summary>File of the private key, when <see cref="ClientCertificatePath"/> is a PEM file without it.</summary>
    /// <value>A path; null for none. Default: null.</value>
    public string? ClientCertificateKeyPath { get; set; }

    /// <summary>Password of the PKCS #12 file or of the encrypted PEM key. Never logged; keep it out of appsettings.</summary>
    /// <value>Default: null.</value>
    public string? ClientCertificatePassword { get; set; }

    /// <summary>
    /// The client's certificate from code: the first one with a private key is the identity, the others are its chain. Not
    /// bound from configuration.
    /// </summary>
    /// <value>Default: empty.</value>
    public X509Certificate2Collection ClientCertificates { get; private set; } = [];

    /// <summary>
    /// Replaces the verification of the server's certificate (pinning, a private authority). Not bound from configuration.
    /// It is compared as a delegate on reload: set a static method or a lambda without captured variables, or every
    /// accepted reload starts a new generation.
    /// </summary>
    /// <value>Default: null, which verifies chain and name.</value>
    public RemoteCertificateValidationCallback? RemoteCertificateValidationCallback { get; set; }

    internal TcpTlsOptions Clone() => new()
    {
        Enabled = Enabled,
        TargetHost = TargetHost,
        Protocols = Protocols,
        ApplicationProtocols = [.. ApplicationProtocols],
        CheckRevocation = CheckRevocation,
        ClientCertificatePath = ClientCertificatePath,
        ClientCertificateKeyPath = ClientCertificateKeyPath,
        ClientCertificatePassword = ClientCertificatePassword,
        ClientCertificates = new X509Certificate2Collection(ClientCertificates),
        RemoteCertificateValidationCallback = RemoteCertificateValidationCallback,
    };
}
