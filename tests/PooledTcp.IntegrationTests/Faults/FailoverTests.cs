using PooledTcp.IntegrationTests.Servers;
using PooledTcp.IntegrationTests.Support;
using PooledTcp.TestSupport;
using Xunit;

namespace PooledTcp.IntegrationTests.Faults;

/// <summary>A server that is killed and started again, over and over, under load.</summary>
public sealed class FailoverTests(RedisProcess server, ITestOutputHelper output) : IClassFixture<RedisProcess>
{
    private const int Limit = 180_000;
    private const int Times = 20;

    private static readonly TimeSpan MaxBackoff = TimeSpan.FromMilliseconds(250);

    // After the server accepts again: the breaker's pause, and what a crowded machine may add to a dial and a call.
    private static readonly TimeSpan FoundWithin = MaxBackoff + TimeSpan.FromSeconds(5);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact(Timeout = Limit)]
    public async Task A_server_killed_and_restarted_twenty_times_lies_to_nobody_and_is_found_again_each_time()
    {
        RedisProcess.SkipIfMissing();
        await using PooledTcpClient client = server.NewClient(static endpoint =>
        {
            endpoint.MaxConnections = 8;
            endpoint.Health.MaxBackoff = MaxBackoff;
        });
        TcpPool pool = client.GetPool("server");
        using var machine = new MachineDelay();
        var audit = new DeadlineAudit(machine);
        var load = new FaultLoad(pool, audit);
        var found = new List<TimeSpan>();
        bool over = false;

        Task callers = load.RunAsync(() => Volatile.Read(ref over));
        try
        {
            for (int time = 0; time < Times; time++)
            {
                // At work, killed at work, and missed.
                await PassesAsync(CallOutcome.Ok);
                await server.StopAsync();
                await PassesAsync(CallOutcome.NotRented);
                await server.StartAsync();
                found.Add(await load.UntilServedAsync(Token));
            }
        }
        finally
        {
            Volatile.Write(ref over, true);
            await callers;
        }

        DeadlineAudit.Lateness lateness = audit.Judge();
        output.WriteLine($"{load}; {lateness}; served after {found.Average(static t => t.TotalMilliseconds):F0} ms, at most {found.Max().TotalMilliseconds:F0} ms");
        Assert.Empty(load.Faults);
        lateness.AssertMet();
        Assert.All(found, static time => Assert.InRange(time, TimeSpan.Zero, FoundWithin));
        await KernelSockets.MatchAsync(pool, server.Port);

        async Task PassesAsync(CallOutcome outcome)
        {
            int before = load[outcome];
            await Eventually.TrueAsync(() => load[outcome] > before + 50, () => $"{outcome} came {load[outcome] - before} times: {load}; {pool.GetSnapshot()}");
        }
    }
}
