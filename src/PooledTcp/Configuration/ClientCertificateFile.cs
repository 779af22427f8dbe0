using System.Security.Cryptography.X509Certificates;

namespace PooledTcp.Configuration;

/// <summary>Reads a client certificate with its key, PEM or PKCS #12; the rest of the chain in the file comes along.</summary>
internal static class ClientCertificateFile
{
    public static X509Certificate2Collection Read(string path, string? keyPath, string? password)
    {
        if (!IsPem(path))
        {
            return X509CertificateLoader.LoadPkcs12CollectionFromFile(path, password);
        }

        var own = password is null
            ? X509Certificate2.CreateFromPemFile(path, keyPath)
            : X509Certificate2.CreateFromEncryptedPemFile(path, password, keyPath);
        if (OperatingSystem.IsWindows())
        {
            // SChannel cannot use a key that lives in memory only; a round through PKCS #12 gives it a container.
            using var inMemory = own;
            own = X509CertificateLoader.LoadPkcs12(inMemory.Export(X509ContentType.Pkcs12), password: null);
        }

        var all = new X509Certificate2Collection();
        all.ImportFromPemFile(path);
        var chain = new X509Certificate2Collection(own);
        // The first certificate of the file is the one that got its key above.
        chain.AddRange(all.Skip(1).ToArray());
        return chain;
    }

    private static bool IsPem(string path)
    {
        using var reader = new StreamReader(path);
        while (reader.ReadLine() is { } line)
        {
            // Text may stand in front of it (openssl writes the subject there).
            if (line.StartsWith("-----BEGIN ", StringComparison.Ordinal))
            {
                return true;
            }
        }

        return false;
    }
}
