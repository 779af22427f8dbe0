using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace PooledTcp.Tests.Configuration;

internal static class TestCertificates
{
    public static X509Certificate2 WithKey(string name = "client")
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        return request.CreateSelfSigned(DateTimeOffset.UnixEpoch.AddYears(50), DateTimeOffset.UnixEpoch.AddYears(90));
    }

    public static X509Certificate2 WithoutKey(string name = "client")
    {
        using var certificate = WithKey(name);
        return X509CertificateLoader.LoadCertificate(certificate.RawData);
    }
}
