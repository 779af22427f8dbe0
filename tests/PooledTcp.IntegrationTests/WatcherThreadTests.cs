using System.Globalization;
using PooledTcp.IntegrationTests.Servers;
using PooledTcp.IntegrationTests.Support;
using PooledTcp.TestSupport;
using Xunit;

namespace PooledTcp.IntegrationTests;

/// <summary>The thread that waits for peers to close, as the kernel sees it. By itself: clients of other tests have such a thread, too.</summary>
[CollectionDefinition(nameof(WatcherThreadTests), DisableParallelization = true)]
[Collection(nameof(WatcherThreadTests))]
public sealed class WatcherThreadTests
{
    private const int Limit = 60_000;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [LinuxFact(Timeout = Limit)]
    public async Task The_watchers_thread_uses_no_processor_while_nothing_happens_and_ends_with_the_client()
    {
        AbilitiesOff.SkipIf(true);
        await using SilentServer server = new();
        PooledTcpClient client = SilentServer.NewClient(connections: 10);
        TcpPool pool = client.GetPool(server.EndPoint);
        HashSet<string> others = [.. WatcherThreads()];
        await pool.WarmUpAsync(10, Token);

        // One event first: what is compiled at its first use is no cost of waiting.
        (await server.TakeAsync(1))[0].Dispose();
        await Eventually.TrueAsync(() => pool.GetSnapshot().Closed == 1, () => pool.GetSnapshot().ToString());
        await Task.Delay(300, Token);
        string thread = Assert.Single(WatcherThreads().Except(others));
        long before = TicksOf(thread);
        for (int i = 0; i < 1000; i++)
        {
            await using TcpLease lease = await pool.RentAsync(Token);
            lease.Complete();
        }

        await Task.Delay(300, Token);
        Assert.InRange(TicksOf(thread) - before, 0, 1);

        await client.DisposeAsync();
        await Eventually.TrueAsync(() => !Directory.Exists(thread), () => "The thread lives on.");
    }

    /// <summary>The threads of that name, as directories of the kernel.</summary>
    private static IEnumerable<string> WatcherThreads() => Directory.EnumerateDirectories("/proc/self/task")
        .Select(static task => Path.Combine("/proc/self/task", Path.GetFileName(task)))
        .Where(static task => NameOf(task).StartsWith("PooledTcp peer", StringComparison.Ordinal));

    private static string NameOf(string task)
    {
        try
        {
            return File.ReadAllText(Path.Combine(task, "comm"));
        }
        catch (IOException)
        {
            // It ended since it was listed.
            return "";
        }
    }

    /// <summary>User and system time, in hundredths of a second.</summary>
    private static long TicksOf(string task)
    {
        string[] fields = File.ReadAllText(Path.Combine(task, "stat")).Split(") ")[1].Split(' ');
        return long.Parse(fields[11], CultureInfo.InvariantCulture) + long.Parse(fields[12], CultureInfo.InvariantCulture);
    }
}
