using System.Security.Cryptography.X509Certificates;
using PooledTcp.Configuration;
using Xunit;

namespace PooledTcp.Tests.Configuration;

public sealed class ClientCertificateFileTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("pooledtcp-").FullName;
    private readonly X509Certificate2 _certificate = TestCertificates.WithKey();

    public void Dispose()
    {
        _certificate.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("secret")]
    public void Pkcs12_is_read(string? password)
    {
        var path = Write("client.pfx", _certificate.Export(X509ContentType.Pkcs12, password));

        AssertRead(Settings($"ClientCertificatePath={path}", password is null ? null : $"ClientCertificatePassword={password}"));
    }

    [Fact]
    public void Pem_with_its_key_is_read()
    {
        var path = Write("client.pem", $"subject=CN=client\n{_certificate.ExportCertificatePem()}\n{Key()}\n");

        AssertRead(Settings($"ClientCertificatePath={path}"));
    }

    [Fact]
    public void Pem_and_its_encrypted_key_are_read_from_two_files()
    {
        var key = _certificate.GetECDsaPrivateKey()!.ExportEncryptedPkcs8PrivateKeyPem(
            "secret", new(System.Security.Cryptography.PbeEncryptionAlgorithm.Aes256Cbc, System.Security.Cryptography.HashAlgorithmName.SHA256, 1000));
        var path = Write("client.crt", _certificate.ExportCertificatePem());
        var keyPath = Write("client.key", key);

        AssertRead(Settings(
            $"ClientCertificatePath={path}", $"ClientCertificateKeyPath={keyPath}", "ClientCertificatePassword=secret"));
    }

    [Fact]
    public void The_rest_of_the_chain_comes_along()
    {
        using var issuer = TestCertificates.WithoutKey("issuer");
        var path = Write("client.pem", $"{_certificate.ExportCertificatePem()}\n{Key()}\n{issuer.ExportCertificatePem()}");

        var certificates = SettingsFactory.Create(Settings($"ClientCertificatePath={path}")).GetEndpoint("cache").Tls!.ClientCertificates!;

        Assert.Equal(["CN=client", "CN=issuer"], certificates.Select(static c => c.Subject));
        Assert.Equal([true, false], certificates.Select(static c => c.HasPrivateKey));
    }

    [Fact]
    public void An_unchanged_file_read_again_is_the_same_identity_and_a_renewed_one_is_not()
    {
        var path = Write("client.pem", $"{_certificate.ExportCertificatePem()}\n{Key()}");
        var options = Settings($"ClientCertificatePath={path}");
        var before = SettingsFactory.Create(options);
        Assert.Equal(before, SettingsFactory.Create(options));

        using var renewed = TestCertificates.WithKey();
        Write("client.pem", $"{renewed.ExportCertificatePem()}\n{renewed.GetECDsaPrivateKey()!.ExportPkcs8PrivateKeyPem()}");

        Assert.NotEqual(before, SettingsFactory.Create(options));
    }

    [Fact]
    public void A_file_that_is_not_there_is_a_fault()
    {
        var path = Path.Combine(_folder, "missing.pfx");
        Assert.Equal(
            [$"PooledTcp:Endpoints:cache:Tls:ClientCertificatePath: \"{path}\" cannot be read: Could not find file '{path}'."],
            Faults($"ClientCertificatePath={path}"));
    }

    [Fact]
    public void A_file_of_another_kind_is_a_fault()
    {
        var path = Write("client.pfx", "not a certificate");
        Assert.StartsWith(
            $"PooledTcp:Endpoints:cache:Tls:ClientCertificatePath: \"{path}\" cannot be read: ",
            Assert.Single(Faults($"ClientCertificatePath={path}")), StringComparison.Ordinal);
    }

    [Fact]
    public void A_wrong_password_is_a_fault_that_does_not_tell_it()
    {
        var path = Write("client.pfx", _certificate.Export(X509ContentType.Pkcs12, "right"));

        var fault = Assert.Single(Faults($"ClientCertificatePath={path}", "ClientCertificatePassword=hunter2"));

        Assert.StartsWith(
            $"PooledTcp:Endpoints:cache:Tls:ClientCertificatePath: \"{path}\" cannot be read: ", fault, StringComparison.Ordinal);
        Assert.DoesNotContain("hunter2", fault, StringComparison.Ordinal);
    }

    [Fact]
    public void A_certificate_without_its_key_is_a_fault()
    {
        using var bare = TestCertificates.WithoutKey();
        var collection = new X509Certificate2Collection(bare);
        var path = Write("client.pfx", collection.Export(X509ContentType.Pkcs12)!);

        Assert.Equal(
            [$"PooledTcp:Endpoints:cache:Tls:ClientCertificatePath: \"{path}\" has no private key."],
            Faults($"ClientCertificatePath={path}"));
    }

    [Fact]
    public void While_tls_is_off_the_file_is_not_read()
    {
        var options = Settings("ClientCertificatePath=/missing.pfx");
        options.Endpoints["cache"].Tls.Enabled = false;

        Assert.Null(SettingsFactory.Create(options).GetEndpoint("cache").Tls);
    }

    private void AssertRead(PooledTcpOptions options)
    {
        var read = Assert.Single(SettingsFactory.Create(options).GetEndpoint("cache").Tls!.ClientCertificates!);
        Assert.Equal(_certificate.Thumbprint, read.Thumbprint);
        Assert.True(read.HasPrivateKey);
    }

    private string Key() => _certificate.GetECDsaPrivateKey()!.ExportPkcs8PrivateKeyPem();

    private string Write(string name, string text) => Write(name, System.Text.Encoding.ASCII.GetBytes(text));

    private string Write(string name, byte[] content)
    {
        var path = Path.Combine(_folder, name);
        File.WriteAllBytes(path, content);
        return path;
    }

    private static PooledTcpOptions Settings(params string?[] tls) => Bound.Options(
        ["Endpoints:cache:Address=cache:6379", "Endpoints:cache:Tls:Enabled=true", .. tls.OfType<string>().Select(static line => "Endpoints:cache:Tls:" + line)]);

    private static IReadOnlyCollection<string> Faults(params string?[] tls) =>
        SettingsFactory.TryCreate(Settings(tls), out _, out var faults) ? [] : faults;
}
