using System.Globalization;
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
    /// The first window nobody is using. It must lie inside the system's range: the kernel silently ignores one that
    /// lies outside (tcp-facts section 3).
    /// </summary>
    public static PortWindow FindUnused()
    {
        PortWindow system = ReadSystemRange();
        IReadOnlySet<int> inUse = KernelView.PortsInUse();
        for (int low = system.Low; low + Width - 1 <= system.High; low += Width)
        {
            PortWindow window = StartingAt(low);
            if (!inUse.Any(window.Contains))
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

    public override string ToString() => $"{Low}-{High}";
}
