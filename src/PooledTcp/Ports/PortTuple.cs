using System.Globalization;
using System.Net;

namespace PooledTcp.Ports;

/// <summary>
/// What a local port is taken for. The same port serves another destination, or another source address, at the same
/// time, so nothing about ports is true of the host as a whole (tcp-facts section 3).
/// </summary>
/// <param name="Source">Any where the kernel picks it: it always picks the same one for a destination.</param>
/// <param name="Destination">The remote address.</param>
/// <param name="Port">The remote port.</param>
internal readonly record struct PortTuple(AddressKey Source, AddressKey Destination, int Port)
{
    public static PortTuple To(IPEndPoint destination, IPAddress? source = null) => new(
        source is null ? AddressKey.Any : AddressKey.From(source), AddressKey.From(destination.Address), destination.Port);

    /// <summary>"10.0.0.1 to 10.0.0.2:6379".</summary>
    public override string ToString()
    {
        string destination = new IPEndPoint(Destination.ToIPAddress(), Port).ToString();
        return Source.IsAny ? destination : string.Create(CultureInfo.InvariantCulture, $"{Source} to {destination}");
    }
}
