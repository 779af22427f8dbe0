using System.Globalization;
using PooledTcp.TestSupport;

namespace PooledTcp.Soak;

/// <summary>What goes wrong meanwhile, one thing after the other, at random.</summary>
internal sealed class SoakTrouble(SoakStage stage, SoakServer server, SoakPlan plan)
{
    private const int LongestPauseMs = 250;
    private const int LongestFaultMs = 400;

    // Often enough for a minute to see some, seldom enough that most calls meet a server.
    private static readonly TimeSpan BetweenKills = TimeSpan.FromSeconds(10);

    private static readonly string[] IdleTimeouts = ["00:00:00.200", "00:00:01", "00:01:30"];
    private static readonly string[] KeepAliveTimes = ["00:00:19", "00:00:20"];

    private readonly Random _random = new(plan.Seed);
    private long _lastKill = Environment.TickCount64;

    /// <summary>How often the server was killed and started again.</summary>
    public int Kills { get; private set; }

    public async Task RunAsync(TimeSpan time, CancellationToken cancellationToken)
    {
        long end = Environment.TickCount64 + (long)time.TotalMilliseconds;
        while (Environment.TickCount64 < end)
        {
            await MakeAsync(cancellationToken);
            await Task.Delay(_random.Next(LongestPauseMs), cancellationToken);
        }
    }

    private async Task MakeAsync(CancellationToken cancellationToken)
    {
        if (Environment.TickCount64 - _lastKill > BetweenKills.TotalMilliseconds)
        {
            await server.KillAsync();
            await LastAsync(cancellationToken);
            await server.StartAsync(cancellationToken);
            _lastKill = Environment.TickCount64;
            Kills++;
            return;
        }

        TcpPool pool = stage.Pools[_random.Next(stage.Pools.Count)];
        switch (_random.Next(10))
        {
            case 0 or 1 or 2 or 3:
                await FaultAsync(stage.Proxies[_random.Next(stage.Proxies.Count)], cancellationToken);
                break;
            case 4 or 5:
                pool.Clear(interruptLeases: _random.Next(2) == 0);
                break;
            case 6:
                pool.Pause();
                await LastAsync(cancellationToken);
                pool.Resume();
                break;
            case 7 or 8:
                Reload();
                break;
            default:
                await WarmUpAsync(pool, cancellationToken);
                break;
        }
    }

    private async Task FaultAsync(FaultProxy proxy, CancellationToken cancellationToken)
    {
        var fault = (Fault)_random.Next(1, Enum.GetValues<Fault>().Length);
        if (fault == Fault.Stall && _random.Next(2) == 0)
        {
            await proxy.StopAnsweringDialsAsync(cancellationToken);
        }
        else
        {
            proxy.Inject(
                fault,
                (FaultScope)_random.Next(1, (int)FaultScope.All + 1),
                (FaultTrigger)_random.Next(Enum.GetValues<FaultTrigger>().Length),
                replyBytes: _random.Next(1, 20));
        }

        await LastAsync(cancellationToken);
        proxy.Heal();
    }

    private void Reload()
    {
        (string endpoint, string setting, string value) = _random.Next(5) switch
        {
            0 => ("plain", "MaxConnections", _random.Next(3, 12).ToString(CultureInfo.InvariantCulture)),
            1 => ("farewell", "IdleTimeout", IdleTimeouts[_random.Next(IdleTimeouts.Length)]),
            2 => ("tls", "KeepAlive:Time", KeepAliveTimes[_random.Next(KeepAliveTimes.Length)]), // a new generation
            3 => ("few", "MaxWaiters", _random.Next(1, 30).ToString(CultureInfo.InvariantCulture)),
            _ => ("plain", "MaxConnections", "many"), // refused: the last good settings stay
        };
        stage.Set(endpoint, setting, value);
        if (value == "many")
        {
            stage.Set(endpoint, setting, "8");
        }
    }

    private static async Task WarmUpAsync(TcpPool pool, CancellationToken cancellationToken)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(LongestFaultMs);
        try
        {
            await pool.WarmUpAsync(2, patience.Token);
        }
        catch (Exception e) when (e is PooledTcpException or OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            // The server was away, or slow.
        }
    }

    private Task LastAsync(CancellationToken cancellationToken) => Task.Delay(_random.Next(20, LongestFaultMs), cancellationToken);
}
