using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Telemetry;

/// <summary>Random rents, returns, failures and clears: at every observation the states are what the fake network has open, and none is negative.</summary>
public sealed class StateInvariantTests
{
    private const int Steps = 400;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(4622)]
    [InlineData(0)]
    public async Task States_sum_to_the_live_sockets_after_every_step(int seed)
    {
        // 0: another one each time; the failure names it.
        seed = seed == 0 ? Random.Shared.Next() : seed;
        Random random = new(seed);
        await using MetricRig rig = new(static o => (o.MaxConnections, o.MaxConnecting, o.Health.FailuresToOpen) = (5, 3, 1000), automatic: false);
        List<Task<TcpLease>> rents = [];
        List<TcpLease> leases = [];
        List<FakeDial> dials = [];
        List<FakeTransport> held = [];
        for (int step = 0; step < Steps; step++)
        {
            switch (random.Next(10))
            {
                case 0 or 1 or 2:
                    rents.Add(rig.RentAsync());
                    break;
                case 3 or 4 or 5 when dials.Count > 0:
                    FakeDial dial = Take(dials, random);
                    if (dial.CancellationToken.IsCancellationRequested || random.Next(4) == 0)
                    {
                        dial.Fail();
                    }
                    else
                    {
                        held.Add(dial.Open(new FakeTransport { PeerHoldsOn = random.Next(2) == 0 }));
                    }

                    break;
                case 6 or 7 when leases.Count > 0:
                    PoolHarness.Return(Take(leases, random));
                    break;
                case 8 when leases.Count > 0:
                    Take(leases, random).Discard();
                    break;
                case 9 when random.Next(4) == 0:
                    rig.Cache.Clear();
                    break;
                default:
                    if (held.Count > 0)
                    {
                        Take(held, random).PeerCloses();
                    }

                    break;
            }

            await SettleAsync(rig, rents, leases, dials, seed, step);
        }
    }

    [Fact]
    public async Task No_state_is_ever_negative_and_the_limit_holds_while_everything_happens_at_once()
    {
        await using MetricRig rig = new(static o => (o.MaxConnections, o.RentTimeout) = (3, Timeout.InfiniteTimeSpan));
        using CancellationTokenSource stop = new();
        Task<int> watching = Task.Run(() =>
        {
            int looks = 0;
            do
            {
                long[] states = Counts(rig);
                Assert.Equal(4, states.Length);
                Assert.All(states, static state => Assert.True(state >= 0));
                Assert.True(states.Sum() <= 3, string.Join(' ', states));
                looks++;
            }
            while (!stop.IsCancellationRequested);
            return looks;
        });
        await Task.WhenAll(Enumerable.Range(0, 3).Select(worker => Task.Run(async () =>
        {
            for (int i = 0; i < 1000; i++)
            {
                TcpLease lease = await rig.RentAsync();
                if ((i + worker) % 5 != 0)
                {
                    lease.Complete();
                }

                lease.Dispose();
            }
        }))).WaitAsync(TimeSpan.FromMinutes(1));
        await stop.CancelAsync();
        Assert.True(await watching.WaitAsync(PoolHarness.Hang) > 0);
        await rig.UntilAsync(() => Counts(rig)[1..].Sum() == 0);
        Assert.Equal(rig.Connector.Live, Counts(rig).Sum());
    }

    /// <summary>Other threads finish what the step began; then the books must agree.</summary>
    private static async Task SettleAsync(MetricRig rig, List<Task<TcpLease>> rents, List<TcpLease> leases, List<FakeDial> dials, int seed, int step)
    {
        long[] states = [];
        await PoolHarness.UntilAsync(
            () =>
            {
                while (rig.Connector.TryNext(out FakeDial? started))
                {
                    dials.Add(started!);
                }

                foreach (Task<TcpLease> done in rents.Where(static rent => rent.IsCompleted).ToArray())
                {
                    rents.Remove(done);
                    if (done.IsCompletedSuccessfully)
                    {
                        leases.Add(done.Result);
                    }
                    else
                    {
                        Assert.IsType<EndpointUnavailableException>(done.Exception!.InnerException);
                    }
                }

                states = Counts(rig);
                Assert.All(states, static state => Assert.True(state >= 0));
                return states[1] == leases.Count && states[2] == rig.Connector.Running && states.Sum() == rig.Connector.Live + rig.Connector.Running;
            },
            () => $"Seed {seed}, step {step}: {string.Join(' ', states)}, leases {leases.Count}, live {rig.Connector.Live}, running {rig.Connector.Running}");
    }

    /// <summary>Idle, used, connecting, closing.</summary>
    private static long[] Counts(MetricRig rig) => [.. rig.Read("pooled_tcp.connection.count").Select(static one =>
        long.Parse(one[..one.IndexOf(' ', StringComparison.Ordinal)], System.Globalization.CultureInfo.InvariantCulture))];

    private static T Take<T>(List<T> list, Random random)
    {
        int index = random.Next(list.Count);
        T one = list[index];
        list.RemoveAt(index);
        return one;
    }
}
