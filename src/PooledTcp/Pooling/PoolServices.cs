using System.Net;
using Microsoft.Extensions.Logging;
using PooledTcp.Configuration;
using PooledTcp.Connections;
using PooledTcp.Health;
using PooledTcp.Ports;
using PooledTcp.Shutdown;
using PooledTcp.Telemetry;

namespace PooledTcp.Pooling;

/// <summary>What all pools of one client share.</summary>
internal sealed class PoolServices
{
    private static long _lastConnectionId;

    private volatile bool _isStopping;

    public required PoolClock Clock { get; init; }

    /// <summary>Where each configured pool's own throttle leads.</summary>
    public required ILogger Logger { get; init; }

    /// <summary>One throttle for what concerns the client as a whole, and for all its ad hoc pools.</summary>
    public required ILogger SharedLogger { get; init; }

    public required Maintenance Maintenance { get; init; }

    public required LocalPorts Ports { get; init; }

    public required ClosingLane Lane { get; init; }

    public ClientTelemetry Telemetry { get; init; } = new(PoolInstruments.For(factory: null), TelemetrySettings.From(new TcpTelemetryOptions()));

    /// <summary>Without one, the sweep looks.</summary>
    public IPeerCloseWatch PeerWatch { get; init; } = NoPeerCloseWatch.Instance;

    public required SharedCap Cap { get; init; }

    /// <summary>Where closes run: the thread pool; the tests run them on the spot.</summary>
    public Action<IThreadPoolWorkItem> Schedule { get; init; } = static work => ThreadPool.UnsafeQueueUserWorkItem(work, preferLocal: false);

    /// <summary>0 to 1, for jitter; the tests put a fixed value here.</summary>
    public Func<double> NextRandom { get; init; } = Random.Shared.NextDouble;

    /// <summary>The addresses of a host name; the system's resolver.</summary>
    public Func<string, CancellationToken, Task<IPAddress[]>> Resolve { get; init; } = Dns.GetHostAddressesAsync;

    /// <summary>The host is stopping: rents are served, but nothing is dialed in advance for callers who will not come.</summary>
    public bool IsStopping
    {
        get => _isStopping;
        set => _isStopping = value;
    }

    public int IdleSlots { get; init; } = Environment.ProcessorCount;

    public static long NextConnectionId() => Interlocked.Increment(ref _lastConnectionId);
}
