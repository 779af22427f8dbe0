using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace OutageReplay.Network;

/// <summary>The local ports a client may be given: 64 instead of the usual 28,232, so that the outage takes a second instead of a minute.</summary>
internal sealed record PortWindow(int Low, int High)
{
    public const int Width = 64;

    private const string RangeFile = "/proc/sys/net/ipv4/ip_local_port_range";
    private const int IpProtocol = 0;
    private const int IpLocalPortRange = 51;

    public static PortWindow StartingAt(int port) => new(port, port + Width - 1);

    public static PortWindow ReadSystemRange()
    {
        string[] bounds = File.ReadAllText(RangeFile).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        return new PortWindow(
            int.Parse(bounds[0], CultureInfo.InvariantCulture), int.Parse(bounds[1], CultureInfo.InvariantCulture));
    }

    /// <summary>
    /// The first window whose every port can be had. It must lie inside the system's range: the kernel silently ignores one
    /// that lies outside (tcp-facts section 3).
    /// </summary>
    public static PortWindow FindUnused()
    {
        PortWindow system = ReadSystemRange();
        IReadOnlySet<int> live = KernelView.LocalPortsAlive();
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen(Width);
        for (int low = system.Low; low + Width - 1 <= system.High; low += Width)
        {
            PortWindow window = StartingAt(low);
            if (!live.Any(window.Contains) && window.CanConnectFromAll(listener))
            {
                return window;
            }
        }

        throw new ReplayException($"No {Width} unused ports in a row in {RangeFile} ({system}).");
    }

    public bool Contains(int port) => port >= Low && port <= High;

    /// <summary>Makes this the range of the whole network namespace.</summary>
    public void ApplyToNamespace() => File.WriteAllText(RangeFile, $"{Low} {High}\n");

    /// <summary>Makes this the range of one socket that has not been connected yet. Linux 6.3.</summary>
    public void ApplyTo(Socket socket) =>
        socket.SetRawSocketOption(IpProtocol, IpLocalPortRange, BitConverter.GetBytes((uint)High << 16 | (uint)Low));

    public static bool SocketsSupportIt()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            ReadSystemRange().ApplyTo(socket);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    /// <summary>
    /// Asked by doing it: a busy host has TIME_WAITs everywhere, and those towards other servers are in nobody's way here,
    /// but only the kernel knows which ports were bound and are not to be had.
    /// </summary>
    private bool CanConnectFromAll(Socket listener)
    {
        for (int port = Low; port <= High; port++)
        {
            using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            new PortWindow(port, port).ApplyTo(client);

            // By RST: nothing is left of it, here or there.
            client.LingerState = new LingerOption(enable: true, seconds: 0);
            try
            {
                client.Connect(listener.LocalEndPoint!);
            }
            catch (SocketException)
            {
                return false;
            }

            using Socket server = listener.Accept();
        }

        return true;
    }

    public override string ToString() => $"{Low}-{High}";
}
