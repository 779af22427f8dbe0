using System.Net.Sockets;

namespace PooledTcp.Ports;

/// <summary>
/// What this system can do about local ports. Found out once per process by trying, because no version number tells what
/// a sandbox allows; every user of it works with each ability off, which is how other systems run.
/// </summary>
internal sealed record PortAbilities
{
    private static PortAbilities? _detected;

    /// <summary>Nothing but ordinary sockets.</summary>
    public static PortAbilities None { get; } = new() { SockDiagAnswer = new SockDiagResult(SockDiagStatus.NotSupported, 0) };

    /// <summary>Set by tests that run as another system would, before the first connection.</summary>
    public static PortAbilities Detected
    {
        get => LazyInitializer.EnsureInitialized(ref _detected, Detect);
        set => Volatile.Write(ref _detected, value);
    }

    /// <summary><c>IP_LOCAL_PORT_RANGE</c> (Linux 6.3): confines a socket, and keeps connect() fast past half full.</summary>
    public bool LocalPortRange { get; init; }

    /// <summary><c>IP_BIND_ADDRESS_NO_PORT</c> (Linux 4.2): a source address without taking its port for every destination.</summary>
    public bool BindAddressNoPort { get; init; }

    /// <summary>The cheap census, by netlink.</summary>
    public bool SockDiag { get; init; }

    /// <summary>Why <see cref="SockDiag"/> is off, in the kernel's terms.</summary>
    public SockDiagResult SockDiagAnswer { get; init; }

    /// <summary>The dear census, by <see cref="System.Net.NetworkInformation.IPGlobalProperties"/>: 35 MB at 28,000 sockets.</summary>
    public bool ActiveConnections { get; init; }

    /// <summary>
    /// Linux's options of a connection: TCP_INFO, TCP_USER_TIMEOUT, and TCP_LINGER2 = -1, which is what a quiet close is made of.
    /// </summary>
    public bool TcpOptions { get; init; }

    /// <summary>One sentence per missing ability and what follows from it.</summary>
    public IReadOnlyList<string> Explain()
    {
        var lines = new List<string>();
        if (!LocalPortRange)
        {
            lines.Add("IP_LOCAL_PORT_RANGE is missing (Linux 6.3): Ports.Range does not confine connections, and connects get slow past half full.");
        }

        if (!BindAddressNoPort)
        {
            lines.Add("IP_BIND_ADDRESS_NO_PORT is missing (Linux 4.2): Ports.SourceAddresses are not used; the system picks the source address.");
        }

        if (!SockDiag)
        {
            lines.Add($"sock_diag is not to be had ({SockDiagAnswer}): " +
                (ActiveConnections ? "ports are counted in a slower way." : "sockets of other processes cannot be counted."));
        }

        return lines;
    }

    private static PortAbilities Detect()
    {
        // Both options live at SOL_IP for IPv6 sockets too (measured), so one family answers for both.
        SockDiagResult answer = AskSockDiag();
        return new PortAbilities
        {
            LocalPortRange = OperatingSystem.IsLinux() && Try(PortSocketOptions.ClearPortRange),
            BindAddressNoPort = OperatingSystem.IsLinux() && Try(PortSocketOptions.SetBindAddressNoPort),
            TcpOptions = OperatingSystem.IsLinux(),
            SockDiag = answer.IsOk,
            SockDiagAnswer = answer,
            ActiveConnections = true,
        };
    }

    private static bool Try(Action<Socket> option)
    {
        try
        {
            AddressFamily family = Socket.OSSupportsIPv4 ? AddressFamily.InterNetwork : AddressFamily.InterNetworkV6;
            using var socket = new Socket(family, SocketType.Stream, ProtocolType.Tcp);
            option(socket);
            return true;
        }
        catch (SocketException)
        {
            // ENOPROTOOPT 92 from an old kernel, or whatever an emulated one says.
            return false;
        }
    }

    private static SockDiagResult AskSockDiag()
    {
        // Port 1 keeps the answer empty; the kernel still goes all the way.
        var nobody = default(Ignore);
        return Ports.SockDiag.Dump(TcpStates.Listen, new SockDiagFilter { LocalPort = 1 }, ref nobody);
    }

    private struct Ignore : ISockDiagVisitor
    {
        public readonly void Visit(SockDiagEntry entry)
        {
        }
    }
}
