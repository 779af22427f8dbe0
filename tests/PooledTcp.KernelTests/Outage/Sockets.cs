using PooledTcp.Ports;

namespace PooledTcp.KernelTests.Outage;

/// <summary>What the kernel says of this namespace. The sides are told apart by their local port (tcp-facts section 6).</summary>
internal static class Sockets
{
    public static int ClientTimeWaits(int serverPort) => Count(TcpStates.TimeWait, new SockDiagFilter { RemotePort = serverPort });

    public static int ServerTimeWaits(int serverPort) => Count(TcpStates.TimeWait, new SockDiagFilter { LocalPort = serverPort });

    /// <summary>Client ports that are taken, whatever the state.</summary>
    public static int ClientPorts(int serverPort) => Count(TcpStates.Connections, new SockDiagFilter { RemotePort = serverPort });

    /// <summary>Every socket of either side that is not a listener and not in TIME_WAIT.</summary>
    public static int Open() => Count(TcpStates.Connections & ~TcpStates.TimeWait, default);

    /// <summary>What <see cref="Open"/> is once nothing changes any more: the last FINs and RSTs may be on their way still.</summary>
    public static async Task<int> OpenInTheEndAsync(int expected)
    {
        for (int i = 0; i < 3000 && Open() != expected; i++)
        {
            await Task.Delay(10);
        }

        return Open();
    }

    private static int Count(TcpStates states, in SockDiagFilter filter)
    {
        var counter = default(Counter);
        SockDiagResult result = SockDiag.Dump(states, filter, ref counter);
        return result.IsOk ? counter.Count : throw new InvalidOperationException(result.ToString());
    }

    private struct Counter : ISockDiagVisitor
    {
        public int Count { get; private set; }

        public void Visit(SockDiagEntry entry) => Count++;
    }
}
