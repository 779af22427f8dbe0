using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace PooledTcp.Configuration;

/// <summary>Checks TLS options and reads the client's certificate.</summary>
internal static class TlsSettingsFactory
{
    // RFC 7301: the length of a protocol name is one byte.
    private const int MaxProtocolName = 255;

    private const string Prefix = nameof(TcpEndpointOptions.Tls) + ":";

    /// <returns>Null when TLS is off. <see cref="TlsSettings.TargetHost"/> is empty while no host is known.</returns>
    public static TlsSettings? Create(TcpTlsOptions options, EndpointAddress? address, SettingFaults faults)
    {
        CheckTargetHost(options.TargetHost, faults);
        CheckProtocols(options.Protocols, faults);
        CheckApplicationProtocols(options.ApplicationProtocols, faults);
        CheckCertificateSources(options, faults);
        if (!options.Enabled)
        {
            return null;
        }

        var targetHost = options.TargetHost ?? (address is { } known ? TargetHostOf(known) : "");
        if (targetHost is null)
        {
            faults.Add(Prefix + nameof(options.TargetHost), "is required: a unix socket has no host name to verify.");
        }

        return new TlsSettings
        {
            TargetHost = targetHost ?? "",
            Protocols = options.Protocols,
            ApplicationProtocols = string.Join(',', options.ApplicationProtocols),
            RevocationMode = options.CheckRevocation ? X509RevocationMode.Online : X509RevocationMode.NoCheck,
            ClientCertificates = ReadCertificates(options, faults),
            Validate = options.RemoteCertificateValidationCallback,
        };
    }

    /// <summary>The name a certificate has: without the scope of a link-local address or the root's dot. Null for a unix socket.</summary>
    public static string? TargetHostOf(EndpointAddress address)
    {
        if (address.IsUnix)
        {
            return null;
        }

        var scope = address.Host.IndexOf('%', StringComparison.Ordinal);
        return scope >= 0 ? address.Host[..scope] : address.Host.TrimEnd('.');
    }

    private static void CheckTargetHost(string? host, SettingFaults faults)
    {
        if (host is not null && !EndpointAddressParser.IsHostNameOrLiteral(host))
        {
            faults.Add(
                Prefix + nameof(TcpTlsOptions.TargetHost),
                $"\"{EndpointAddressParser.Shown(host)}\" is neither a host name nor an IP address; it takes no port, no scheme, no brackets and no scope.");
        }
    }

    private static void CheckProtocols(SslProtocols protocols, SettingFaults faults)
    {
        if ((protocols & ~(SslProtocols.Tls12 | SslProtocols.Tls13)) != SslProtocols.None)
        {
            faults.Add(
                Prefix + nameof(TcpTlsOptions.Protocols),
                $"{protocols} is not allowed: Tls12, Tls13 or both; None leaves the choice to the operating system.");
        }
    }

    private static void CheckApplicationProtocols(IList<string> names, SettingFaults faults)
    {
        for (var i = 0; i < names.Count; i++)
        {
            var setting = FormattableString.Invariant($"{Prefix}{nameof(TcpTlsOptions.ApplicationProtocols)}:{i}");
            var name = names[i];
            if (string.IsNullOrEmpty(name))
            {
                faults.Add(setting, "is empty.");
            }
            else if (name.Contains(',', StringComparison.Ordinal))
            {
                faults.Add(setting, $"\"{name}\" contains a comma: each protocol is an item of the list.");
            }
            else if (Encoding.UTF8.GetByteCount(name) > MaxProtocolName)
            {
                faults.Add(setting, $"is {Encoding.UTF8.GetByteCount(name)} bytes long; ALPN allows {MaxProtocolName}.");
            }
            else if (names.IndexOf(name) < i)
            {
                faults.Add(setting, $"\"{name}\" is in the list twice.");
            }
        }
    }

    private static void CheckCertificateSources(TcpTlsOptions options, SettingFaults faults)
    {
        if (options.ClientCertificatePath is null)
        {
            if (options.ClientCertificateKeyPath is not null)
            {
                faults.Add(Prefix + nameof(options.ClientCertificateKeyPath), "is set without ClientCertificatePath.");
            }

            if (options.ClientCertificatePassword is not null)
            {
                faults.Add(Prefix + nameof(options.ClientCertificatePassword), "is set without ClientCertificatePath.");
            }
        }
        else if (options.ClientCertificates.Count > 0)
        {
            faults.Add(
                Prefix + nameof(options.ClientCertificatePath), "is set together with ClientCertificates: one of them has to go.");
        }

        if (options.ClientCertificates.Count > 0 && !options.ClientCertificates.Any(static c => c.HasPrivateKey))
        {
            faults.Add(Prefix + nameof(options.ClientCertificates), "has no certificate with a private key.");
        }
    }

    private static X509Certificate2Collection? ReadCertificates(TcpTlsOptions options, SettingFaults faults)
    {
        if (options.ClientCertificatePath is not { } path)
        {
            // A copy: the caller may change the collection later, settings do not.
            return options.ClientCertificates.Count == 0 ? null : new X509Certificate2Collection(options.ClientCertificates);
        }

        try
        {
            var certificates = ClientCertificateFile.Read(path, options.ClientCertificateKeyPath, options.ClientCertificatePassword);
            if (certificates.Any(static c => c.HasPrivateKey))
            {
                return certificates;
            }

            faults.Add(Prefix + nameof(options.ClientCertificatePath), $"\"{path}\" has no private key.");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or CryptographicException or ArgumentException)
        {
            // The message names the file or the format; it never has the password.
            faults.Add(Prefix + nameof(options.ClientCertificatePath), $"\"{path}\" cannot be read: {e.Message}");
        }

        return null;
    }
}
