using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace PooledTcp.Configuration;

/// <summary>Where an endpoint is: a host name or IP literal with a port, or a unix socket path. Compared by value.</summary>
/// <remarks>
/// Equal places have one spelling here, because the address is part of the key of a pool. A value, because a rent by end point looks
/// for that key, and allocates nothing if the end point has that spelling already.
/// </remarks>
internal readonly record struct EndpointAddress
{
    /// <summary>
    /// Host name in lower case, IP literal (IPv4-mapped folded to IPv4), or the path of a unix socket
    /// (<c>@name</c> when it is abstract).
    /// </summary>
    public required string Host { get; init; }

    /// <summary>1 to 65535; 0 for a unix socket.</summary>
    public required int Port { get; init; }

    public required bool IsUnix { get; init; }

    /// <summary>Reads an address as <see cref="TcpEndpointOptions.Address"/> describes it.</summary>
    public static EndpointAddress Parse(string text) =>
        TryParse(text, out var address, out var error)
            ? address
            : throw new FormatException($"\"{EndpointAddressParser.Shown(text)}\" {error}");

    /// <summary>As <see cref="Parse"/>; <paramref name="error"/> continues a sentence that begins with the quoted text.</summary>
    public static bool TryParse(
        string? text, out EndpointAddress address, [NotNullWhen(false)] out string? error) =>
        EndpointAddressParser.TryParse(text, out address, out error);

    /// <exception cref="ArgumentException">The end point is of another type, or names no place to connect to.</exception>
    public static EndpointAddress FromEndPoint(EndPoint endPoint)
    {
        ArgumentNullException.ThrowIfNull(endPoint);
        EndpointAddress address;
        string? error;
        switch (endPoint)
        {
            case IPEndPoint ip:
                return EndpointAddressParser.TryFromIP(ip.Address, ip.Port, out address, out error)
                    ? address
                    : throw Refused(endPoint, error);

            case DnsEndPoint { AddressFamily: not AddressFamily.Unspecified }:
                throw Refused(endPoint, "asks for one address family: resolve the name and pass an IPEndPoint instead");

            case DnsEndPoint dns:
                return EndpointAddressParser.TryFromHost(dns.Host, dns.Port, out address, out error)
                    ? address
                    : throw Refused(endPoint, error);

            case UnixDomainSocketEndPoint unix:
                var path = unix.ToString();
                // A relative path means another place after a change of directory; the key must not.
                return new EndpointAddress
                {
                    Host = path.StartsWith('@') ? path : Path.GetFullPath(path),
                    Port = 0,
                    IsUnix = true,
                };

            default:
                throw Refused(endPoint, "is of a type that cannot be dialed: pass an IPEndPoint, DnsEndPoint or UnixDomainSocketEndPoint");
        }

        static ArgumentException Refused(EndPoint endPoint, string error) =>
            new($"{endPoint.GetType().Name} \"{EndpointAddressParser.Shown(endPoint.ToString() ?? "")}\" {error}.", nameof(endPoint));
    }

    /// <summary>IPEndPoint for a literal, DnsEndPoint for a name, UnixDomainSocketEndPoint for a path.</summary>
    public EndPoint ToEndPoint()
    {
        if (IsUnix)
        {
            return new UnixDomainSocketEndPoint(Host.StartsWith('@') ? '\0' + Host[1..] : Host);
        }

        return IPAddress.TryParse(Host, out var ip) ? new IPEndPoint(ip, Port) : new DnsEndPoint(Host, Port);
    }

    /// <summary>The spelling that <see cref="Parse"/> reads back.</summary>
    public override string ToString()
    {
        if (IsUnix)
        {
            return "unix:" + Host;
        }

        return Host.Contains(':', StringComparison.Ordinal)
            ? string.Create(CultureInfo.InvariantCulture, $"[{Host}]:{Port}")
            : string.Create(CultureInfo.InvariantCulture, $"{Host}:{Port}");
    }
}
