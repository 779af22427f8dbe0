namespace PooledTcp.Connections;

/// <summary>
/// What one dial may try, in this order, and what has come of it. The connector writes it; the pool reads it when the dial
/// is over, which for a connect callback that ignores its token may be before the connector is.
/// </summary>
internal sealed class DialRace(IReadOnlyList<DialTarget> targets)
{
    private readonly Lock _lock = new();
    private readonly (DialProgress Progress, Exception? Error)[] _attempts = new (DialProgress, Exception?)[targets.Count];
    private DialTarget? _winner;

    public IReadOnlyList<DialTarget> Targets => targets;

    /// <summary>What the connection leads to; null when nothing connected.</summary>
    public DialTarget? Winner
    {
        get
        {
            lock (_lock)
            {
                return _winner;
            }
        }
    }

    public void Started(int target) => Note(target, DialProgress.Started, null);

    public void Failed(int target, Exception error) => Note(target, DialProgress.Failed, error);

    public void Won(int target)
    {
        lock (_lock)
        {
            _attempts[target].Progress = DialProgress.Won;
            _winner = targets[target];
        }
    }

    public DialProgress Look(int target, out Exception? error)
    {
        lock (_lock)
        {
            error = _attempts[target].Error;
            return _attempts[target].Progress;
        }
    }

    private void Note(int target, DialProgress progress, Exception? error)
    {
        lock (_lock)
        {
            _attempts[target] = (progress, error);
        }
    }
}

/// <summary>How far a dial came with one of its targets.</summary>
internal enum DialProgress
{
    /// <summary>Its turn never came.</summary>
    NotStarted,

    /// <summary>It has not answered: it was overtaken, or the dial's time was up.</summary>
    Started,

    /// <summary>It failed by itself.</summary>
    Failed,

    /// <summary>It connected first. TLS and the handshake may still have failed.</summary>
    Won,
}
