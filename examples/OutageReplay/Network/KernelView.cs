using System.Diagnostics;
using System.Globalization;

namespace OutageReplay.Network;

/// <summary>What the kernel says about the connections to one server, client and server being in one network namespace.</summary>
/// <param name="ClientPortsTaken">Local ports that cannot be used for this server now, TIME_WAIT included.</param>
/// <param name="ClientTimeWait">TIME_WAITs on the side that connected.</param>
/// <param name="ServerTimeWait">TIME_WAITs on the side that listens.</param>
/// <param name="Live">Sockets of either side that are neither listening nor in TIME_WAIT.</param>
internal sealed record KernelView(int ClientPortsTaken, int ClientTimeWait, int ServerTimeWait, int Live)
{
    private const int TimeWait = 0x06;
    private const int Listen = 0x0A;

    private static readonly TimeSpan SettleLimit = TimeSpan.FromSeconds(1);

    public static KernelView Read(int serverPort)
    {
        var clientPorts = new HashSet<int>();
        int clientTimeWait = 0, serverTimeWait = 0, live = 0;
        foreach (Entry entry in ReadEntries())
        {
            // The server's side is the one whose local port is the server's (tcp-facts section 6).
            bool isServer = entry.LocalPort == serverPort;
            bool isClient = entry.RemotePort == serverPort;
            if (entry.State == Listen || !(isServer || isClient))
            {
                continue;
            }

            if (isClient)
            {
                clientPorts.Add(entry.LocalPort);
            }

            if (entry.State != TimeWait)
            {
                live++;
            }
            else if (isServer)
            {
                serverTimeWait++;
            }
            else
            {
                clientTimeWait++;
            }
        }

        return new KernelView(clientPorts.Count, clientTimeWait, serverTimeWait, live);
    }

    /// <summary>The figures once no close is under way any more: a TIME_WAIT begins when the other side's FIN arrives.</summary>
    public static async Task<KernelView> ReadSettledAsync(int serverPort, CancellationToken cancellationToken)
    {
        long start = Stopwatch.GetTimestamp();
        while (true)
        {
            KernelView view = Read(serverPort);
            if (view.Live == 0 || Stopwatch.GetElapsedTime(start) > SettleLimit)
            {
                return view;
            }

            await Task.Delay(10, cancellationToken);
        }
    }

    /// <summary>Every port that any TCP socket here names, on either end.</summary>
    public static IReadOnlySet<int> PortsInUse() =>
        ReadEntries().SelectMany(entry => (int[])[entry.LocalPort, entry.RemotePort]).ToHashSet();

    private static IEnumerable<Entry> ReadEntries() =>
        new[] { "/proc/net/tcp", "/proc/net/tcp6" }
            .Where(File.Exists)
            .SelectMany(file => File.ReadLines(file).Skip(1))
            .Select(Entry.Parse);

    private readonly record struct Entry(int LocalPort, int RemotePort, int State)
    {
        // "  sl: local_address rem_address st ...", addresses and ports in hexadecimal.
        public static Entry Parse(string line)
        {
            string[] fields = line.Split(' ', 5, StringSplitOptions.RemoveEmptyEntries);
            return new Entry(Port(fields[1]), Port(fields[2]), Hex(fields[3]));
        }

        private static int Port(string address) => Hex(address[(address.LastIndexOf(':') + 1)..]);

        private static int Hex(string text) => int.Parse(text, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
    }
}
