using System.Globalization;
using System.Net.Sockets;
using PooledTcp.KernelTests.Harness;
using Xunit;

namespace PooledTcp.KernelTests.SeedQuestion;

/// <summary>
/// "Should I set SO_LINGER, tcp_tw_reuse, tcp_max_tw_buckets?" Each cure under the same load, in a namespace of its own;
/// docs/closing.md shows the table, and a test here holds it to the kernel.
/// </summary>
public sealed class SeedQuestionTests
{
    private const int Ports = 64;
    private const int AddressNotAvailable = 99;

    private static readonly NamespaceSettings Namespace = NamespaceSettings.SmallRange;

    // Side by side, once: they wait most of the time.
    private static readonly Lazy<Task<Dictionary<string, ChurnResult>>> Runs = new(RunAllAsync);

    private static async Task<Dictionary<string, ChurnResult>> RunAllAsync()
    {
        var runs = new Dictionary<string, Task<ChurnResult>>
        {
            ["plain close, system defaults"] = NetworkNamespace.RunAsync(PlainAsync, Namespace),
            ["the same over 127.0.0.1"] = NetworkNamespace.RunAsync(LoopbackAsync, Namespace),
            ["`SO_LINGER` on, 0 s"] = NetworkNamespace.RunAsync(LingerAsync, Namespace),
            ["`tcp_tw_reuse = 1`"] = NetworkNamespace.RunAsync(PlainAsync, Namespace.With("tcp_tw_reuse", "1")),
            ["`tcp_tw_reuse = 1`, `tcp_timestamps = 0`"] = NetworkNamespace.RunAsync(
                PlainAsync, Namespace.With("tcp_tw_reuse", "1").With("tcp_timestamps", "0")),
            ["`tcp_max_tw_buckets = 8`"] = NetworkNamespace.RunAsync(PlainAsync, Namespace.With("tcp_max_tw_buckets", "8")),
            ["`TCP_LINGER2 = -1` by hand"] = NetworkNamespace.RunAsync(QuietAsync, Namespace),
            ["PooledTcp, `Auto`, each connection used once"] = NetworkNamespace.RunAsync(AutoAsync, Namespace),
            ["PooledTcp, `Server`, each connection used once"] = NetworkNamespace.RunAsync(ServerAsync, Namespace),
            ["PooledTcp, connections kept"] = NetworkNamespace.RunAsync(KeptAsync, Namespace),
        };
        await Task.WhenAll(runs.Values);
        return runs.ToDictionary(static run => run.Key, static run => run.Value.Result);
    }

    private static Task<ChurnResult> PlainAsync() => Churn.ByHandAsync();

    private static Task<ChurnResult> LoopbackAsync() => Churn.ByHandAsync(address: "127.0.0.1");

    private static Task<ChurnResult> LingerAsync() => Churn.ByHandAsync(Linger);

    private static Task<ChurnResult> QuietAsync() => Churn.ByHandAsync(Quiet);

    private static Task<ChurnResult> AutoAsync() => Churn.ByPoolAsync(static endpoint => endpoint.MaxUses = 1);

    private static Task<ChurnResult> ServerAsync() => Churn.ByPoolAsync(static endpoint =>
    {
        endpoint.MaxUses = 1;
        endpoint.Shutdown.ClosesFirst = ClosesFirst.Server;
        endpoint.Shutdown.Goodbye = "raw:QUIT";
    });

    private static Task<ChurnResult> KeptAsync() => Churn.ByPoolAsync(static _ => { });

    private static void Linger(Socket socket) => socket.LingerState = new LingerOption(true, 0);

    private static void Quiet(Socket socket) => socket.SetRawSocketOption(6, 8, BitConverter.GetBytes(-1));

    [Fact]
    public async Task By_default_the_ports_carry_as_many_connections_as_there_are()
    {
        ChurnResult run = (await Runs.Value)["plain close, system defaults"];

        Assert.Equal((Ports, Churn.Offered - Ports), (run.Ok, run.Failed));
        Assert.Equal(new Dictionary<int, int> { [AddressNotAvailable] = run.Failed }, run.Errors);
        Assert.Equal((Ports, 0), (run.ClientTimeWaits, run.ServerTimeWaits));
        Assert.Equal((Ports, 0), (run.PeerSawEnd, run.PeerSawReset));
    }

    [Fact]
    public async Task Linger_zero_carries_all_and_every_peer_sees_a_reset()
    {
        ChurnResult run = (await Runs.Value)["`SO_LINGER` on, 0 s"];

        Assert.Equal((Churn.Offered, 0), (run.Ok, run.ClientTimeWaits + run.ServerTimeWaits));
        Assert.Equal((0, Churn.Offered), (run.PeerSawEnd, run.PeerSawReset));
    }

    [Fact]
    public async Task Linger_zero_loses_what_a_slow_peer_has_not_read_and_the_other_closes_lose_nothing()
    {
        SendBuffer.SkipUnlessHolds(SlowPeer.Written);
        SlowPeer.Reading linger = await NetworkNamespace.RunAsync(LingerOnSlowPeerAsync, Namespace);
        SlowPeer.Reading plain = await NetworkNamespace.RunAsync(PlainOnSlowPeerAsync, Namespace);
        SlowPeer.Reading quiet = await NetworkNamespace.RunAsync(QuietOnSlowPeerAsync, Namespace);

        TestContext.Current.TestOutputHelper?.WriteLine(FormattableString.Invariant($"of {SlowPeer.Written} bytes {linger.Arrived} arrived"));
        Assert.True(linger.Reset);
        Assert.InRange(linger.Arrived, 0, SlowPeer.Written - 1);
        Assert.Equal(new SlowPeer.Reading(SlowPeer.Written, Reset: false), plain);
        Assert.Equal(new SlowPeer.Reading(SlowPeer.Written, Reset: false), quiet);
    }

    private static Task<SlowPeer.Reading> LingerOnSlowPeerAsync() => SlowPeer.ReadAfterCloseAsync(Linger);

    private static Task<SlowPeer.Reading> PlainOnSlowPeerAsync() => SlowPeer.ReadAfterCloseAsync(null);

    private static Task<SlowPeer.Reading> QuietOnSlowPeerAsync() => SlowPeer.ReadAfterCloseAsync(Quiet);

    [Fact]
    public async Task Reuse_carries_the_range_once_per_delay_and_not_more()
    {
        ChurnResult run = (await Runs.Value)["`tcp_tw_reuse = 1`"];

        // tcp_tw_reuse_delay is a second; older kernels have the second built in.
        Assert.InRange(run.Ok, Ports + 1, Ports * (1 + (int)run.Seconds));
        Assert.Equal(new Dictionary<int, int> { [AddressNotAvailable] = run.Failed }, run.Errors);
        Assert.Equal((Ports, 0), (run.ClientTimeWaits, run.PeerSawReset));
    }

    [Fact]
    public async Task Reuse_does_nothing_without_timestamps()
    {
        ChurnResult run = (await Runs.Value)["`tcp_tw_reuse = 1`, `tcp_timestamps = 0`"];

        Assert.Equal((Ports, Ports), (run.Ok, run.ClientTimeWaits));
    }

    [Fact]
    public async Task The_default_2_reuses_only_between_loopback_addresses_and_so_hides_the_outage_there()
    {
        Dictionary<string, ChurnResult> runs = await Runs.Value;

        Assert.Equal(Ports, runs["plain close, system defaults"].Ok);
        Assert.InRange(runs["the same over 127.0.0.1"].Ok, Ports + 1, Churn.Offered);
    }

    [Fact]
    public async Task Few_buckets_carry_all_by_taking_the_guard_from_every_program_of_the_host()
    {
        Dictionary<string, ChurnResult> runs = await Runs.Value;
        ChurnResult run = runs["`tcp_max_tw_buckets = 8`"];

        Assert.Equal((Churn.Offered, 8), (run.Ok, run.ClientTimeWaits));
        Assert.Equal((Churn.Offered, 0), (run.PeerSawEnd, run.PeerSawReset));

        // The bystander's ten closes, at another address and port, skipped theirs as well.
        Assert.Equal(0, run.BystanderTimeWaits);
        Assert.Equal(Churn.Offered - 8 + 10, run.Overflows);
        Assert.Equal((10, 0), (runs["plain close, system defaults"].BystanderTimeWaits, runs["plain close, system defaults"].Overflows));
    }

    [Fact]
    public async Task A_quiet_close_by_hand_leaves_nothing_and_no_peer_sees_a_reset()
    {
        ChurnResult run = (await Runs.Value)["`TCP_LINGER2 = -1` by hand"];

        Assert.Equal((Churn.Offered, 0), (run.Ok, run.ClientTimeWaits + run.ServerTimeWaits));
        Assert.Equal((Churn.Offered, 0), (run.PeerSawEnd, run.PeerSawReset));
    }

    [Fact]
    public async Task Auto_carries_all_within_its_share()
    {
        ChurnResult run = (await Runs.Value)["PooledTcp, `Auto`, each connection used once"];

        Assert.Equal((Churn.Offered, 0), (run.Ok, run.PeerSawReset));
        Assert.InRange(run.ClientTimeWaits, 1, Ports / 4);
    }

    [Fact]
    public async Task Server_first_carries_all_without_one_time_wait_at_the_client()
    {
        ChurnResult run = (await Runs.Value)["PooledTcp, `Server`, each connection used once"];

        Assert.Equal((Churn.Offered, 0, 0), (run.Ok, run.PeerSawReset, run.ClientTimeWaits));
        Assert.InRange(run.ServerTimeWaits, 1, Ports);
    }

    [Fact]
    public async Task Kept_connections_need_none_of_it()
    {
        ChurnResult run = (await Runs.Value)["PooledTcp, connections kept"];

        Assert.Equal((Churn.Offered, 1), (run.Ok, run.PeerSawEnd));
        Assert.Equal(0, run.ClientTimeWaits);
    }

    [Fact]
    public async Task The_table_of_the_page_is_what_was_measured()
    {
        Dictionary<string, string> table = (await Runs.Value).ToDictionary(static run => run.Key, static run => Row(run.Value));
        foreach ((string name, string row) in table)
        {
            TestContext.Current.TestOutputHelper?.WriteLine($"| {name} | {row} |");
        }

        Dictionary<string, string> page = PageRows();
        Assert.Equal(table.Keys.Order(StringComparer.Ordinal), page.Keys.Order(StringComparer.Ordinal));

        // A count with "about" depends on the time a run takes, or on the ports the kernel picks; its bounds are asserted above.
        foreach ((string name, string row) in page)
        {
            IEnumerable<string> exact = row.Split(" | ").Zip(table[name].Split(" | "), static (shown, measured) =>
                shown.StartsWith("about ", StringComparison.Ordinal) ? shown : measured);
            Assert.Equal($"{name} | {row}", $"{name} | {string.Join(" | ", exact)}");
        }
    }

    private static string Row(ChurnResult run) => string.Join(" | ", new[]
    {
        run.Ok, run.Failed, run.ClientTimeWaits, run.ServerTimeWaits, run.PeerSawReset,
    }.Select(static number => number.ToString(CultureInfo.InvariantCulture)));

    private static Dictionary<string, string> PageRows()
    {
        string folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "PooledTcp.sln")))
        {
            folder = Path.GetDirectoryName(folder)!;
        }

        return File.ReadLines(Path.Combine(folder, "docs", "closing.md"))
            .SkipWhile(static line => line != "<!-- seed-question -->")
            .TakeWhile(static line => line != "<!-- /seed-question -->")
            .Where(static line => line.StartsWith("| ", StringComparison.Ordinal))
            .Skip(1)
            .Select(static line => line.Trim('|', ' ').Split(" | ", 2, StringSplitOptions.TrimEntries))
            .ToDictionary(static cells => cells[0], static cells => cells[1]);
    }
}
