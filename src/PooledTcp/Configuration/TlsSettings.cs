using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;

namespace PooledTcp.Configuration;

/// <summary>TLS as configured; part of the key, since two identities never share a connection.</summary>
internal sealed record TlsSettings
{
    // Set together with the certificates: a copy made by "with" must not keep the context of the old ones.
    private readonly Lazy<SslStreamCertificateContext?>? _clientCertificate;

    /// <summary>The name sent as SNI and verified against the certificate.</summary>
    public required string TargetHost { get; init; }

    public required SslProtocols Protocols { get; init; }

    /// <summary>ALPN, in order of preference; joined by commas so that records compare by value.</summary>
    public string ApplicationProtocols { get; init; } = "";

    public X509RevocationMode RevocationMode { get; init; }

    /// <summary>Null when there is none. Never changed after it is set here.</summary>
    public X509Certificate2Collection? ClientCertificates
    {
        get;
        init
        {
            field = value;

            // Publication only: a failure is that dial's error, not one that every later dial repeats.
            _clientCertificate = value is null ? null : new(() => CreateContext(value), LazyThreadSafetyMode.PublicationOnly);
        }
    }

    public RemoteCertificateValidationCallback? Validate { get; init; }

    /// <summary>
    /// What the client presents, built once and not per dial; null when it has no certificate. A collection would not do:
    /// SslStream takes one certificate out of it and leaves the intermediates behind.
    /// </summary>
    public SslStreamCertificateContext? GetClientCertificate() => _clientCertificate?.Value;

    // A file read again is a new collection: only the certificates' bytes tell whether the identity is another one.
    public bool Equals(TlsSettings? other) =>
        other is not null
        && string.Equals(TargetHost, other.TargetHost, StringComparison.Ordinal)
        && Protocols == other.Protocols
        && string.Equals(ApplicationProtocols, other.ApplicationProtocols, StringComparison.Ordinal)
        && RevocationMode == other.RevocationMode
        && Validate == other.Validate
        && SameCertificates(ClientCertificates, other.ClientCertificates);

    public override int GetHashCode() => HashCode.Combine(TargetHost, Protocols, ApplicationProtocols, RevocationMode);

    /// <summary>The first certificate with a private key, and of the others those that lead from it towards its root.</summary>
    private static SslStreamCertificateContext? CreateContext(X509Certificate2Collection certificates)
    {
        // Not always the first: a PKCS #12 file may list the issuers before it.
        if (certificates.FirstOrDefault(static c => c.HasPrivateKey) is not { } own)
        {
            return null;
        }

        X509Certificate2Collection rest = new(certificates);
        rest.Remove(own);

        // Offline: a missing intermediate is not fetched from the address its certificate names.
        return SslStreamCertificateContext.Create(own, rest, offline: true);
    }

    private static bool SameCertificates(X509Certificate2Collection? one, X509Certificate2Collection? other)
    {
        if (ReferenceEquals(one, other))
        {
            return true;
        }

        if (one is null || other is null || one.Count != other.Count)
        {
            return false;
        }

        for (var i = 0; i < one.Count; i++)
        {
            if (!one[i].RawDataMemory.Span.SequenceEqual(other[i].RawDataMemory.Span))
            {
                return false;
            }
        }

        return true;
    }
}
