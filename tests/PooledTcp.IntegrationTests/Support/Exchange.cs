using System.Diagnostics;

namespace PooledTcp.IntegrationTests.Support;

/// <summary>One request to an echo server, and how long the rent took.</summary>
internal static class Exchange
{
    public static async Task<TimeSpan> RunAsync(TcpPool pool, long id, CancellationToken cancellationToken)
    {
        long start = Stopwatch.GetTimestamp();
        await using TcpLease lease = await pool.RentAsync(cancellationToken);
        TimeSpan rented = Stopwatch.GetElapsedTime(start);
        byte[] reply = new byte[sizeof(long)];
        await lease.SendAsync(BitConverter.GetBytes(id), cancellationToken);
        await lease.Stream.ReadExactlyAsync(reply, cancellationToken);
        if (BitConverter.ToInt64(reply) != id)
        {
            throw new InvalidDataException($"{id} got the reply of {BitConverter.ToInt64(reply)}");
        }

        lease.Complete();
        return rented;
    }
}
