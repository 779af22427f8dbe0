using System.Net;
using System.Net.Sockets;
using PooledTcp.Ports;

namespace PooledTcp.KernelTests.Harness;

/// <summary>Both ends of one connection as sock_diag tells them, after the programs have let go of their sockets.</summary>
internal readonly record struct KernelView(IPEndPoint Client, IPEndPoint Server)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    public KernelView(Socket client)
        : this(Fold(client.LocalEndPoint!), Fold(client.RemoteEndPoint!))
    {
    }

    /// <summary>Null when the kernel has forgotten this end.</summary>
    public SockDiagSocket? ClientEnd => Find(Client, Server);

    public SockDiagSocket? ServerEnd => Find(Server, Client);

    public string States => $"client {Name(ClientEnd)}, server {Name(ServerEnd)}";

    public TimeWaitAt TimeWait => (ClientEnd?.State, ServerEnd?.State) switch
    {
        (TcpStates.TimeWait, TcpStates.TimeWait) => TimeWaitAt.Both,
        (TcpStates.TimeWait, _) => TimeWaitAt.Client,
        (_, TcpStates.TimeWait) => TimeWaitAt.Server,
        _ => TimeWaitAt.Nobody,
    };

    /// <summary>Every state in between has passed: each end is gone or in TIME_WAIT.</summary>
    public bool IsSettled => IsAtRest(ClientEnd) && IsAtRest(ServerEnd);

    public bool IsClientSettled => IsAtRest(ClientEnd);

    public static async Task UntilAsync(Func<bool> condition, string what, TimeSpan? patience = null)
    {
        long start = TimeProvider.System.GetTimestamp();
        while (!condition())
        {
            if (TimeProvider.System.GetElapsedTime(start) > (patience ?? Patience))
            {
                throw new TimeoutException($"Not within {patience ?? Patience}: {what}");
            }

            await Task.Delay(2);
        }
    }

    /// <summary>TIME_WAITs at ports of the ephemeral range: the clients' own.</summary>
    public static int CountClientTimeWaits(IPEndPoint server)
    {
        var counter = new Counter();
        SockDiag.Dump(TcpStates.TimeWait, new SockDiagFilter { Remote = AddressKey.From(server.Address), RemotePort = server.Port }, ref counter);
        return counter.Count;
    }

    private static bool IsAtRest(SockDiagSocket? end) => end is null or { State: TcpStates.TimeWait };

    private static string Name(SockDiagSocket? end) => end?.State.ToString() ?? "gone";

    private static SockDiagSocket? Find(IPEndPoint local, IPEndPoint remote)
    {
        SockDiagResult result = SockDiag.Find(
            AddressKey.From(local.Address), local.Port, AddressKey.From(remote.Address), remote.Port, out SockDiagSocket socket);
        return result.Status switch
        {
            SockDiagStatus.Ok => socket,
            SockDiagStatus.NotFound => null,
            _ => throw new InvalidOperationException($"sock_diag: {result}"),
        };
    }

    private static IPEndPoint Fold(EndPoint endPoint) => endPoint is IPEndPoint { Address.IsIPv4MappedToIPv6: true } mapped
        ? new IPEndPoint(mapped.Address.MapToIPv4(), mapped.Port)
        : (IPEndPoint)endPoint;

    private struct Counter : ISockDiagVisitor
    {
        public int Count { get; private set; }

        public void Visit(SockDiagEntry entry) => Count++;
    }
}

/// <summary>Which ends are in TIME_WAIT.</summary>
internal enum TimeWaitAt
{
    Nobody,
    Client,
    Server,
    Both,
}
