using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using PooledTcp.Configuration;

namespace PooledTcp.KernelTests.Harness;

/// <summary>A self-signed server certificate, and settings that accept this one and no other.</summary>
internal static class TestCertificate
{
    private const string Name = "server.test";

    public static X509Certificate2 Server { get; } = Create();

    public static TlsSettings Pinned(SslProtocols protocol) => new()
    {
        TargetHost = Name,
        Protocols = protocol,
        Validate = static (_, certificate, _, errors) =>
            (errors & ~SslPolicyErrors.RemoteCertificateChainErrors) == SslPolicyErrors.None
            && certificate is X509Certificate2 presented
            && presented.Thumbprint == Server.Thumbprint,
    };

    private static X509Certificate2 Create()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={Name}", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName(Name);
        request.CertificateExtensions.Add(names.Build());
        using X509Certificate2 certificate = request.CreateSelfSigned(
            DateTimeOffset.UnixEpoch.AddYears(50), DateTimeOffset.UnixEpoch.AddYears(130));
        return X509CertificateLoader.LoadPkcs12(certificate.Export(X509ContentType.Pfx), null);
    }
}
