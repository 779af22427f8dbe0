using System.Collections.Concurrent;
using System.Threading.Channels;
using PooledTcp.Configuration;
using PooledTcp.Connections;

namespace PooledTcp.Tests.Fakes;

/// <summary>
/// Dials that the test opens or fails one by one, or (<see cref="Automatic"/>) that succeed at once. It counts what is
/// alive, which is what the pool's own counts are compared with.
/// </summary>
internal sealed class FakeConnector : IConnector
{
    private readonly Channel<FakeDial> _started = Channel.CreateUnbounded<FakeDial>();
    private readonly ConcurrentQueue<FakeTransport> _transports = new();
    private int _running;
    private int _mostRunning;
    private int _dials;

    /// <summary>What a dial does by itself; null: it waits for the test.</summary>
    public Func<PoolSettings, FakeTransport>? Automatic { get; set; }

    /// <summary>The connect goes on when its token fires, as a careless connect callback does.</summary>
    public bool IgnoresCancellation { get; set; }

    public int Dials => Volatile.Read(ref _dials);

    /// <summary>The most dials that ever ran at one time.</summary>
    public int MostRunning => Volatile.Read(ref _mostRunning);

    public int Running => Volatile.Read(ref _running);

    public int Opened => _transports.Count;

    public int ClosedCount => _transports.Count(static t => t.IsClosed);

    public int Live => Opened - ClosedCount;

    public IReadOnlyCollection<FakeTransport> Transports => _transports;

    /// <summary>The next dial, in the order they started.</summary>
    public Task<FakeDial> NextAsync() => _started.Reader.ReadAsync().AsTask().WaitAsync(PoolHarness.Hang);

    public async Task<FakeDial[]> NextAsync(int count)
    {
        FakeDial[] dials = new FakeDial[count];
        for (int i = 0; i < count; i++)
        {
            dials[i] = await NextAsync();
        }

        return dials;
    }

    public bool TryNext(out FakeDial? dial) => _started.Reader.TryRead(out dial);

    public async ValueTask<Transport> ConnectAsync(PoolSettings settings, DialRace race, CancellationToken cancellationToken)
    {
        Interlocked.Increment(ref _dials);
        race.Started(0);
        int running = Interlocked.Increment(ref _running);
        int most = MostRunning;
        while (running > most && Interlocked.CompareExchange(ref _mostRunning, running, most) != most)
        {
            most = MostRunning;
        }

        try
        {
            if (Automatic is { } automatic)
            {
                // A dial is never done on the spot.
                await Task.Yield();
                cancellationToken.ThrowIfCancellationRequested();
                FakeTransport opened = automatic(settings);
                race.Won(0);
                return Track(opened);
            }

            FakeDial dial = new(settings, race, cancellationToken);
            await _started.Writer.WriteAsync(dial, CancellationToken.None);
            FakeTransport transport = await (IgnoresCancellation ? dial.Task : dial.Task.WaitAsync(cancellationToken));
            race.Won(dial.Winner);
            return Track(transport);
        }
        finally
        {
            Interlocked.Decrement(ref _running);
        }
    }

    private FakeTransport Track(FakeTransport transport)
    {
        _transports.Enqueue(transport);
        return transport;
    }
}

/// <summary>One dial, waiting for the test to say how it ends.</summary>
internal sealed class FakeDial(PoolSettings settings, DialRace race, CancellationToken cancellationToken)
{
    private readonly TaskCompletionSource<FakeTransport> _outcome = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public PoolSettings Settings => settings;

    /// <summary>What it may try. The test plays the connector: it notes what came of each.</summary>
    public DialRace Race => race;

    /// <summary>Which of them connects, when the dial is opened.</summary>
    public int Winner { get; set; }

    public CancellationToken CancellationToken => cancellationToken;

    public Task<FakeTransport> Task => _outcome.Task;

    public FakeTransport Open(FakeTransport? transport = null)
    {
        transport ??= new FakeTransport();
        _outcome.SetResult(transport);
        return transport;
    }

    public void Fail(Exception? exception = null) => _outcome.SetException(exception ?? new IOException("no route to fake"));
}
