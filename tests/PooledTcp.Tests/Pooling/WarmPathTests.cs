using System.Reflection;
using PooledTcp.Pooling;
using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Pooling;

/// <summary>What a warm rent and return must not do.</summary>
public sealed class WarmPathTests
{
    private const int Rounds = 10_000;

    [Fact]
    public async Task A_warm_rent_and_return_allocate_nothing()
    {
        await using PoolHarness pool = await WarmAsync(idleSlots: 1);
        Assert.Equal(0, LeastAllocated(() => RentAndReturn(pool.Pool, Rounds)));
        Assert.Equal(1, pool.Connector.Dials);
    }

    [Fact]
    public async Task Sending_and_receiving_on_a_lease_allocate_nothing()
    {
        await using PoolHarness pool = await WarmAsync(idleSlots: 1);
        byte[] buffer = new byte[16];
        Assert.Equal(0, LeastAllocated(() => Exchange(pool.Pool, buffer, Rounds)));
    }

    [Fact]
    public async Task A_rent_from_the_stack_allocates_nothing()
    {
        // More connections than slots: each round takes both, one of them from the stack.
        await using PoolHarness pool = await WarmAsync(idleSlots: 1, count: 2);
        Assert.Equal(0, LeastAllocated(() => RentTwo(pool.Pool, Rounds)));
    }

    [Fact]
    public async Task A_warm_rent_and_return_read_no_clock()
    {
        await using PoolHarness pool = await WarmAsync(idleSlots: 1);
        pool.Maintain();
        long readings = pool.Time.Readings;
        RentAndReturn(pool.Pool, Rounds);
        Assert.Equal(readings, pool.Time.Readings);
    }

    [Fact]
    public async Task A_warm_rent_and_return_take_no_lock()
    {
        await using PoolHarness pool = await WarmAsync(idleSlots: 1);
        Lock gate = (Lock)typeof(ConnectionPool).GetField("_gate", BindingFlags.NonPublic | BindingFlags.Instance)!.GetValue(pool.Core)!;
        using ManualResetEventSlim held = new();
        using ManualResetEventSlim release = new();
        Task holder = Task.Run(() =>
        {
            lock (gate)
            {
                held.Set();
                release.Wait(PoolHarness.Hang);
            }
        });
        Assert.True(held.Wait(PoolHarness.Hang));
        Task<TcpPoolSnapshot> blocked = Task.Run(pool.Pool.GetSnapshot);

        await Task.Run(() => RentAndReturn(pool.Pool, Rounds)).WaitAsync(PoolHarness.Hang);
        Assert.False(blocked.IsCompleted);

        release.Set();
        await holder.WaitAsync(PoolHarness.Hang);
        await blocked.WaitAsync(PoolHarness.Hang);
    }

    [Fact]
    public async Task The_one_system_call_of_a_warm_rent_is_the_transports_check()
    {
        await using PoolHarness pool = await WarmAsync(idleSlots: 1);
        FakeTransport transport = pool.Connector.Transports.Single();
        int checks = transport.Checks;
        int parks = transport.Parks;
        RentAndReturn(pool.Pool, Rounds);
        Assert.Equal(checks + Rounds, transport.Checks);
        Assert.Equal(parks, transport.Parks);
    }

    /// <summary>
    /// The least of several runs on this thread. What the code allocates, every run allocates; what the runtime does once on
    /// the thread that happens to be there (it compiles a hot loop anew while it runs, and coverage makes that likelier) does
    /// not come back.
    /// </summary>
    private static long LeastAllocated(Action run)
    {
        long least = long.MaxValue;
        for (int i = 0; i < 5; i++)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            run();
            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        return least;
    }

    private static async Task<PoolHarness> WarmAsync(int idleSlots, int count = 1, int? max = null)
    {
        PoolHarness pool = PoolHarness.Automatic(PoolHarness.Settings(max: max ?? count), idleSlots: idleSlots);
        pool.Connector.Automatic = static _ => new FakeTransport { Mute = true };
        await pool.FillAsync(count);
        return pool;
    }

    private static void RentAndReturn(TcpPool pool, int rounds)
    {
        for (int i = 0; i < rounds; i++)
        {
            TcpLease lease = pool.RentAsync(CancellationToken.None).Result;
            lease.Complete();
            lease.Dispose();
        }
    }

    private static void RentTwo(TcpPool pool, int rounds)
    {
        for (int i = 0; i < rounds; i++)
        {
            TcpLease first = pool.RentAsync(CancellationToken.None).Result;
            TcpLease second = pool.RentAsync(CancellationToken.None).Result;
            first.Complete();
            second.Complete();
            second.Dispose();
            first.Dispose();
        }
    }

    private static void Exchange(TcpPool pool, byte[] buffer, int rounds)
    {
        for (int i = 0; i < rounds; i++)
        {
            TcpLease lease = pool.RentAsync(CancellationToken.None).Result;
            lease.SendAsync(buffer).GetAwaiter().GetResult();
            _ = lease.ReceiveAsync(buffer).Result;
            lease.Complete();
            lease.Dispose();
        }
    }
}
