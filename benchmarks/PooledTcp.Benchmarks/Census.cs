using System.Net;
using System.Net.Sockets;
using BenchmarkDotNet.Attributes;
using PooledTcp.Ports;

namespace PooledTcp.Benchmarks;

/// <summary>
/// What it costs to ask the kernel who holds the ports towards one destination. The pool does so at most every 5 s, and only
/// while more than a quarter of the range is taken.
/// </summary>
[MemoryDiagnoser]
#pragma warning disable CA1001 // CleanUp is where BenchmarkDotNet disposes
public class Census
#pragma warning restore CA1001
{
    private readonly List<Socket> _sockets = [];
    private PortCensusTaker _taker = null!;
    private PortAccount _account = null!;

    /// <summary>Connections to the destination; the kernel has two sockets for each, since the server is here as well.</summary>
    [Params(100, 5_000)]
    public int Connections { get; set; }

    /// <summary>Opens them.</summary>
    [GlobalSetup]
    public void SetUp()
    {
        KernelPortSettingsReader kernel = new(TimeProvider.System);
        PortLedger ledger = new(TimeProvider.System, kernel.Current.TimeWaitHold);
        _taker = new PortCensusTaker(ledger, kernel, PortAbilities.Detected);
        using Socket listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen(16);
        IPEndPoint server = (IPEndPoint)listener.LocalEndPoint!;
        PortRange range = new(32768, 60999);
        for (int i = 0; i < Connections; i++)
        {
            Socket client = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            _account = ledger.Connecting(PortTuple.To(server), range, range.Count);
            client.Connect(server);
            ledger.Connected(_account);
            _sockets.Add(client);
            _sockets.Add(listener.Accept());
        }
    }

    /// <summary>Closes them, without a TIME_WAIT.</summary>
    [GlobalCleanup]
    public void CleanUp() => _sockets.ForEach(static socket => socket.Close(0));

    /// <summary>Asked of the kernel, for one destination.</summary>
    [Benchmark]
    public int OfOneDestination() => _taker.Take(_account).Taken;

    /// <summary>Asked of the kernel, for every socket of the host: who else is in our range?</summary>
    [Benchmark]
    public int OfAllSockets() => _taker.Take(_account, anyDestination: true).Taken;

    /// <summary>What our own books say.</summary>
    [Benchmark(Baseline = true)]
    public int OfTheLedger() => _taker.FromLedger(_account).Taken;
}
