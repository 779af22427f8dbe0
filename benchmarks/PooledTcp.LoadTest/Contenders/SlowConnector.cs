using PooledTcp.Benchmarks.Contenders;
using PooledTcp.Configuration;
using PooledTcp.Connections;

namespace PooledTcp.LoadTest.Contenders;

/// <summary>Dials that take a while and succeed, and how many of them ran at the same time.</summary>
internal sealed class SlowConnector(TimeSpan dial) : IConnector
{
    private int _running;
    private int _mostAtOnce;
    private int _dials;

    public int MostAtOnce => Volatile.Read(ref _mostAtOnce);

    public int Dials => Volatile.Read(ref _dials);

    public async ValueTask<Transport> ConnectAsync(PoolSettings settings, DialRace race, CancellationToken cancellationToken)
    {
        race.Started(0);
        Interlocked.Increment(ref _dials);
        int running = Interlocked.Increment(ref _running);
        for (int most = MostAtOnce; running > most; most = MostAtOnce)
        {
            Interlocked.CompareExchange(ref _mostAtOnce, running, most);
        }

        try
        {
            await Task.Delay(dial, cancellationToken);
            race.Won(0);
            return new NullTransport();
        }
        finally
        {
            Interlocked.Decrement(ref _running);
        }
    }

    /// <summary>The same for a pool that knows no <see cref="IConnector"/>.</summary>
    public async ValueTask<object> OpenAsync()
    {
        Interlocked.Increment(ref _dials);
        await Task.Delay(dial);
        return new object();
    }
}
