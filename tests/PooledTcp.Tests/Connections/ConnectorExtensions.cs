using System.Net;
using PooledTcp.Configuration;
using PooledTcp.Connections;

namespace PooledTcp.Tests.Connections;

/// <summary>Plays the pool's part for a connector: what the address of the settings leads to.</summary>
internal static class ConnectorExtensions
{
    public static async ValueTask<Transport> ConnectAsync(this SocketConnector connector, PoolSettings settings, CancellationToken cancellationToken) =>
        settings.Address.ToEndPoint() is DnsEndPoint { Host: "localhost" } name
            ? await connector.ConnectAsync(settings, Race(await Dns.GetHostAddressesAsync(name.Host, cancellationToken), name.Port), cancellationToken)
            : await connector.ConnectAsync(settings, new DialRace([new DialTarget(settings.Address.ToEndPoint())]), cancellationToken);

    public static DialRace Race(IEnumerable<IPAddress> addresses, int port) =>
        new([.. addresses.Select(address => new DialTarget(new IPEndPoint(address, port)))]);
}
