using System.Collections.Concurrent;
using PooledTcp.IntegrationTests.Resp;

namespace PooledTcp.IntegrationTests.Support;

/// <summary>
/// Many callers whose requests each ask for their own id and are cancelled anywhere: redis-py, March 2023, on purpose. A
/// request cancelled between write and read left its reply on the connection, and the next user got it.
/// </summary>
internal sealed class RandomCancellations(TcpPool pool, int seed)
{
    private const int Callers = 24;
    private const int LargePadding = 300_000;
    private const int LongestSpin = 4000;

    private int _accepted;
    private int _cancelled;

    private enum Where
    {
        Nowhere,
        BeforeRent,
        WhileWaiting,
        BeforeSend,
        DuringSend,
        BeforeReceive,
        DuringReceive,
        Anywhere,
    }

    public int Accepted => _accepted;

    public int Cancelled => _cancelled;

    /// <summary>Replies that did not carry the id of the request they were taken for, as "asked | got".</summary>
    public ConcurrentQueue<string> Wrong { get; } = new();

    /// <summary>
    /// Makes callers complete a lease whose exchange was cancelled between send and receive: what this library cannot
    /// prevent by itself, and the proof that these callers would notice.
    /// </summary>
    public bool Lie { get; init; }

    public async Task RunAsync(int requests, CancellationToken cancellationToken)
    {
        await Task.WhenAll(Enumerable.Range(0, Callers).Select(caller => Task.Run(
            async () =>
            {
                var random = new Random(HashCode.Combine(seed, caller));
                for (int i = 0; i < requests / Callers; i++)
                {
                    await RequestAsync($"caller {caller} request {i}", random, cancellationToken);
                }
            },
            cancellationToken)));
    }

    private async Task RequestAsync(string id, Random random, CancellationToken stop)
    {
        var where = (Where)random.Next(2 * (int)Where.Anywhere); // half of them nowhere
        int spin = random.Next(LongestSpin);
        byte[] command = RespReply.Command("ECHO", random.Next(12) == 0 ? id + new string('.', LargePadding) : id);
        using var cancellation = CancellationTokenSource.CreateLinkedTokenSource(stop);
        Task cancel = Task.CompletedTask;
        try
        {
            At(Where.BeforeRent);
            At(Where.Anywhere, 20 * spin);
            At(Where.WhileWaiting, spin);
            await using TcpLease lease = await pool.RentAsync(cancellation.Token);
            At(Where.BeforeSend);
            At(Where.DuringSend, spin);
            await lease.SendAsync(command, cancellation.Token);
            At(Where.BeforeReceive);
            if (Lie && cancellation.IsCancellationRequested)
            {
                lease.Complete();
            }

            At(Where.DuringReceive, spin);
            RespReply reply = await new RespReader(lease.ReceiveAsync).ReadAsync(cancellation.Token);
            lease.Complete();
            Interlocked.Increment(ref _accepted);
            if (reply.Text!.TrimEnd('.') != id)
            {
                Wrong.Enqueue($"{id} | {reply.Text.AsSpan(0, Math.Min(reply.Text.Length, id.Length))}");
            }
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested && !stop.IsCancellationRequested)
        {
            Interlocked.Increment(ref _cancelled);
        }
        catch (InvalidDataException e) when (Lie)
        {
            // Just as wrong: somebody before took another's reply, and read with its end the beginning of his own, a long one.
            Wrong.Enqueue($"{id} | {e.Message}");
        }
        finally
        {
            await cancel;
        }

        void At(Where place, int delay = -1)
        {
            if (place != where)
            {
                return;
            }

            if (delay < 0)
            {
                cancellation.Cancel();
                return;
            }

            cancel = Task.Run(
                () =>
                {
                    Thread.SpinWait(delay);
                    cancellation.Cancel();
                },
                CancellationToken.None);
        }
    }
}
