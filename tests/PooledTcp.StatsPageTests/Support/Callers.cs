namespace PooledTcp.StatsPageTests.Support;

/// <summary>Callers of a pool: one exchange after the other until they are told to stop.</summary>
internal sealed class Callers : IAsyncDisposable
{
    private static readonly byte[] Request = new byte[32];
    private readonly CancellationTokenSource _stop = new();
    private readonly List<Task> _running = [];

    public long Exchanges;

    public Callers Add(TcpPool pool, int callers, TimeSpan pause = default)
    {
        for (int i = 0; i < callers; i++)
        {
            _running.Add(Task.Run(() => CallAsync(pool, pause)));
        }

        return this;
    }

    public static async Task ExchangeAsync(TcpPool pool)
    {
        await using TcpLease lease = await pool.RentAsync(Patience.Token);
        await lease.SendAsync(Request, Patience.Token);
        byte[] reply = new byte[Request.Length];
        for (int received = 0; received < reply.Length;)
        {
            int more = await lease.ReceiveAsync(reply.AsMemory(received), Patience.Token);
            received += more > 0 ? more : throw new EndOfStreamException();
        }

        lease.Complete();
    }

    /// <summary>Each ends its exchange, so that nothing is in the air afterwards.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_running);
        _stop.Dispose();
    }

    private async Task CallAsync(TcpPool pool, TimeSpan pause)
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                await ExchangeAsync(pool);
                Interlocked.Increment(ref Exchanges);
            }
            catch (PooledTcpException)
            {
                // The pool without a server.
                await Task.Delay(50, Patience.Token);
            }

            if (pause > TimeSpan.Zero)
            {
                await Task.Delay(pause, Patience.Token);
            }
        }
    }
}
