using System.Net;
using System.Net.Sockets;

namespace PooledTcp.Ports;

internal enum AddressVerdict
{
    Usable,
    Unusable,

    /// <summary>The probe failed in a way of its own.</summary>
    Unknown,
}

/// <summary>
/// Asks the kernel whether it could send from a source to a destination, without a packet and without a TCP port:
/// connecting a datagram socket does the routing and the choice of the source address alone. It fails exactly where a
/// TCP connect fails for the address: no such source (99), ::1 with IPv6 off (99), no route (101).
/// </summary>
internal static class AddressProbe
{
    public static AddressVerdict Ask(in PortTuple tuple)
    {
        IPAddress destination = tuple.Destination.ToIPAddress();
        try
        {
            using var socket = new Socket(destination.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
            if (!tuple.Source.IsAny)
            {
                socket.Bind(new IPEndPoint(tuple.Source.ToIPAddress(), 0));
            }

            socket.Connect(new IPEndPoint(destination, tuple.Port));
            return AddressVerdict.Usable;
        }
        catch (SocketException e)
        {
            return e.SocketErrorCode is SocketError.AddressNotAvailable or SocketError.NetworkUnreachable
                or SocketError.HostUnreachable or SocketError.AddressFamilyNotSupported
                ? AddressVerdict.Unusable
                : AddressVerdict.Unknown;
        }
    }
}
