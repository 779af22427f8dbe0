using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace PooledTcp.Configuration;

/// <summary>
/// Reads an address and says exactly what is wrong with a bad one. Stricter than <see cref="IPAddress"/>, which takes
/// <c>127.1</c>, <c>010.0.0.1</c> (octal: 8.0.0.1) and <c>1</c> for addresses.
/// </summary>
internal static class EndpointAddressParser
{
    private const string Forms = "host:port, 10.0.0.1:port, [2001:db8::1]:port or unix:/path";

    // What separates the address in a connection string from its options.
    private static readonly SearchValues<char> Separators = SearchValues.Create(",;=?#");

    private static readonly SearchValues<char> LabelCharacters =
        SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");

    // RFC 1035: the limits of a name and of one label in it.
    private const int MaxName = 253;
    private const int MaxLabel = 63;

    public static bool TryParse(
        string? text, out EndpointAddress address, [NotNullWhen(false)] out string? error)
    {
        address = default;
        if (string.IsNullOrWhiteSpace(text))
        {
            error = $"is empty: write {Forms}";
            return false;
        }

        if (text.Contains("://", StringComparison.Ordinal))
        {
            error = $"is a URL: write the address without a scheme, as {Forms}";
            return false;
        }

        if (text.StartsWith("unix:", StringComparison.OrdinalIgnoreCase))
        {
            return TryUnix(text["unix:".Length..], out address, out error);
        }

        // Before anything that quotes a part of the text.
        if (MayHoldSecret(text))
        {
            error = $"has more in it than a host and a port: write {Forms} (a login is the work of a handshake hook)";
            return false;
        }

        if (text.Any(static c => char.IsWhiteSpace(c) || char.IsControl(c)))
        {
            error = "contains a space or a control character";
            return false;
        }

        if (text[0] == '[')
        {
            return TryBracketed(text, out address, out error);
        }

        var colon = text.IndexOf(':', StringComparison.Ordinal);
        if (colon < 0)
        {
            error = $"has no port: write {text}:port";
            return false;
        }

        if (text.IndexOf(':', colon + 1) >= 0)
        {
            error = IPAddress.TryParse(text, out _)
                ? $"is an IPv6 address without a port: write [{text}]:port"
                : "has more than one colon: an IPv6 address stands in brackets, as in [2001:db8::1]:port";
            return false;
        }

        return TryPort(text[(colon + 1)..], out var port, out error)
            && TryFromHost(text[..colon], port, out address, out error);
    }

    /// <summary>A host name or an IP literal, the latter folded to its one spelling.</summary>
    public static bool TryFromHost(
        string host, int port, out EndpointAddress address, [NotNullWhen(false)] out string? error)
    {
        address = default;
        if (host.Length == 0)
        {
            error = "has no host in front of the port";
            return false;
        }

        if (MayHoldSecret(host))
        {
            error = "has more in it than a host and a port (a login is the work of a handshake hook)";
            return false;
        }

        if (host.Contains(':', StringComparison.Ordinal) && IPAddress.TryParse(host, out var v6))
        {
            return TryFromIP(v6, port, out address, out error);
        }

        if (LooksNumeric(host))
        {
            if (IPAddress.TryParse(host, out var v4) && string.Equals(v4.ToString(), host, StringComparison.Ordinal))
            {
                return TryFromIP(v4, port, out address, out error);
            }

            error = $"has the host \"{host}\", which is no IPv4 address: write four numbers from 0 to 255 without leading zeros";
            return false;
        }

        if (!IsHostName(host))
        {
            error = $"has the host \"{host}\", which is no host name: labels of 1 to 63 letters, digits, - or _, "
                + "separated by dots, 253 characters at most (an international name in its xn-- form)";
            return false;
        }

        if (!IsPort(port, out error))
        {
            return false;
        }

        address = new EndpointAddress { Host = host.ToLowerInvariant(), Port = port, IsUnix = false };
        return true;
    }

    public static bool TryFromIP(
        IPAddress ip, int port, out EndpointAddress address, [NotNullWhen(false)] out string? error)
    {
        address = default;
        if (ip.IsIPv4MappedToIPv6)
        {
            ip = ip.MapToIPv4();
        }

        if (ip.Equals(IPAddress.Any) || ip.Equals(IPAddress.IPv6Any))
        {
            error = $"has the host {ip}, which is an address to listen on, not one to connect to";
            return false;
        }

        if (ip.IsIPv6Multicast || ip.Equals(IPAddress.Broadcast)
            || IsIPv4Multicast(ip))
        {
            error = $"has the host {ip}, which is a multicast or broadcast address: TCP connects to one host";
            return false;
        }

        if (ip.IsIPv6LinkLocal && ip.ScopeId == 0)
        {
            error = $"has the host {ip}, which is link-local: write its interface too, as in [{ip}%eth0]:port";
            return false;
        }

        if (!IsPort(port, out error))
        {
            return false;
        }

        address = new EndpointAddress { Host = ip.ToString(), Port = port, IsUnix = false };
        return true;
    }

    /// <summary>
    /// The text as a message or a log may have it: without the login of a URL and without what follows the address in a
    /// connection string. Either may be a password.
    /// </summary>
    public static string Shown(string text)
    {
        var isUrl = text.Contains("://", StringComparison.Ordinal);
        if (!isUrl && text.StartsWith("unix:", StringComparison.OrdinalIgnoreCase))
        {
            return text;
        }

        // The last one: a password may contain it.
        var login = text.LastIndexOf('@');
        if (login >= 0)
        {
            var scheme = isUrl ? text.IndexOf("://", StringComparison.Ordinal) + "://".Length : 0;
            text = (scheme <= login ? text[..scheme] : "") + "***" + text[login..];
        }

        var options = text.AsSpan().IndexOfAny(Separators);
        return options < 0 ? text : text[..options] + "***";
    }

    /// <summary>A host name or an IP literal in its usual form: no port, brackets or scope, no 127.1.</summary>
    public static bool IsHostNameOrLiteral(string host)
    {
        if (host.Contains(':', StringComparison.Ordinal))
        {
            return IPAddress.TryParse(host, out _) && host.AsSpan().IndexOfAny('[', ']', '%') < 0;
        }

        return LooksNumeric(host)
            ? IPAddress.TryParse(host, out var v4) && string.Equals(v4.ToString(), host, StringComparison.Ordinal)
            : IsHostName(host);
    }

    public static bool IsHostName(string host)
    {
        if (host.Length > MaxName)
        {
            return false;
        }

        // One trailing dot marks a fully qualified name.
        var name = host.AsSpan(0, host.EndsWith('.') ? host.Length - 1 : host.Length);
        foreach (var at in name.Split('.'))
        {
            var label = name[at];
            if (label.Length is 0 or > MaxLabel || label[0] == '-' || label[^1] == '-' || label.ContainsAnyExcept(LabelCharacters))
            {
                return false;
            }
        }

        return true;
    }

    private static bool IsIPv4Multicast(IPAddress ip)
    {
        Span<byte> bytes = stackalloc byte[4];
        return ip.AddressFamily == AddressFamily.InterNetwork && ip.TryWriteBytes(bytes, out _) && bytes[0] is >= 224 and < 240;
    }

    private static bool MayHoldSecret(string text) =>
        text.Contains('@', StringComparison.Ordinal) || text.AsSpan().ContainsAny(Separators);

    private static bool TryBracketed(
        string text, out EndpointAddress address, [NotNullWhen(false)] out string? error)
    {
        address = default;
        var end = text.IndexOf(']', StringComparison.Ordinal);
        if (end < 0)
        {
            error = "has no closing bracket";
            return false;
        }

        var host = text[1..end];
        if (!IPAddress.TryParse(host, out var ip) || ip.AddressFamily != AddressFamily.InterNetworkV6)
        {
            error = $"has \"{host}\" in brackets, which is no IPv6 address";
            return false;
        }

        // .NET takes a scope that names no interface for no scope.
        if (host.Contains('%', StringComparison.Ordinal) && ip.ScopeId == 0)
        {
            error = $"has the scope \"{host[(host.IndexOf('%', StringComparison.Ordinal) + 1)..]}\", which is no interface of this machine";
            return false;
        }

        if (end + 1 == text.Length || text[end + 1] != ':')
        {
            error = $"has no port: write [{host}]:port";
            return false;
        }

        return TryPort(text[(end + 2)..], out var port, out error) && TryFromIP(ip, port, out address, out error);
    }

    private static bool TryUnix(
        string path, out EndpointAddress address, [NotNullWhen(false)] out string? error)
    {
        address = default;
        if (path is not ['/', _, ..] and not ['@', _, ..])
        {
            error = "has no absolute path: write unix:/path, or unix:@name for an abstract socket";
            return false;
        }

        if (path is ['/', .., '/'])
        {
            error = "ends with /, so it names a directory and not a socket";
            return false;
        }

        if (path.Contains('\0', StringComparison.Ordinal))
        {
            error = "contains a control character";
            return false;
        }

        var candidate = new EndpointAddress
        {
            Host = path[0] == '@' ? path : Path.GetFullPath(path),
            Port = 0,
            IsUnix = true,
        };
        try
        {
            // sun_path holds 108 bytes on Linux and 104 on macOS, the terminator included: the platform decides.
            candidate.ToEndPoint();
        }
        catch (ArgumentOutOfRangeException)
        {
            error = "has a path too long for a unix socket: 107 bytes at most on Linux, 103 on macOS";
            return false;
        }

        address = candidate;
        error = null;
        return true;
    }

    private static bool TryPort(string text, out int port, [NotNullWhen(false)] out string? error)
    {
        port = 0;
        if (text.Length == 0)
        {
            error = "has no port behind the colon";
            return false;
        }

        if (!text.All(char.IsAsciiDigit))
        {
            error = $"has the port \"{text}\", which is not a number";
            return false;
        }

        if (!int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out port) || port is < 1 or > IPEndPoint.MaxPort)
        {
            error = $"has the port {text}, which is not in the range 1 to 65,535";
            return false;
        }

        error = null;
        return true;
    }

    private static bool IsPort(int port, [NotNullWhen(false)] out string? error)
    {
        error = port is < 1 or > IPEndPoint.MaxPort
            ? string.Create(CultureInfo.InvariantCulture, $"has the port {port}, which is not in the range 1 to 65,535")
            : null;
        return error is null;
    }

    /// <summary>A last label of digits only (or 0x...) can be no host name, so it was meant as an address.</summary>
    private static bool LooksNumeric(string host)
    {
        var last = host.AsSpan(host.LastIndexOf('.') + 1);
        return last.Length > 0 && (!last.ContainsAnyExceptInRange('0', '9') || last.StartsWith("0x", StringComparison.OrdinalIgnoreCase));
    }
}
