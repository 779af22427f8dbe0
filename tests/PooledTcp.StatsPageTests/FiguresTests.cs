using System.Text.Json;
using Microsoft.Playwright;
using PooledTcp.AspNetCore.Stats;
using PooledTcp.StatsPageTests.Support;
using PooledTcp.Telemetry;
using Xunit;

namespace PooledTcp.StatsPageTests;

/// <summary>What the page shows is what the pools say.</summary>
public sealed class FiguresTests(Browser browser)
{
    // Every cell of every row and tile: where its figure is in the JSON, how it is written, and what stands there.
    private const string Cells = """
        root => [...root.querySelectorAll('[data-f]')].map(el => [el.dataset.f, el.dataset.t, el.textContent])
        """;

    // What else a row shows: bars, lists, and what is hidden.
    private const string Shapes = """
        root => [...root.querySelectorAll('rect')].map(r => `${r.getAttribute('class')} ${(+r.getAttribute('x')).toFixed(2)} ${(+r.getAttribute('width')).toFixed(2)}`)
          .concat([...root.querySelectorAll('[data-list] tr')].map(tr => [...tr.cells].map(c => c.tagName + ' ' + c.textContent).join(' | ')))
          .concat([...root.querySelectorAll('[data-show], [data-hide]')].map(el => `${el.dataset.show ?? el.dataset.hide} ${el.hidden}`))
          .concat([root.dataset.severity ?? ''])
        """;

    [Fact]
    public async Task Every_figure_on_the_page_is_the_snapshots()
    {
        await using Scene scene = await Scene.StartAsync();
        await using (Callers callers = scene.Load())
        {
            await Patience.UntilAsync(() => callers.Exchanges > 2000 && scene.Pool("archive").GetSnapshot().BreakerState == BreakerState.Open);
        }

        // Frozen, but not empty: some on loan, some waiting.
        List<TcpLease> held = [await scene.Pool("cache").RentAsync(Patience.Token)];
        for (int i = 0; i < 4; i++)
        {
            held.Add(await scene.Pool("payments").RentAsync(Patience.Token));
        }

        Task<TcpLease>[] waiting = [.. Enumerable.Range(0, 3).Select(_ => scene.Pool("payments").RentAsync(Patience.Token).AsTask())];
        await Patience.UntilAsync(() => scene.Site.Client.Pools.All(static pool => pool.GetSnapshot() is { Closing: 0, Connecting: 0 }));

        await using Window window = await browser.OpenAsync();
        await window.Page.GotoAsync(scene.Site.Page.ToString());
        JsonElement report = await window.FreezeAsync();
        Assert.Equal(5, report.GetProperty("pools").GetArrayLength());
        foreach (JsonElement pool in report.GetProperty("pools").EnumerateArray())
        {
            TcpPoolSnapshot snapshot = scene.Site.Client.Pools.Single(p => p.Name == pool.GetProperty("name").GetString()).GetSnapshot();
            ExpectFrozen(snapshot, pool, scene.Site.Client.Pools.Select(static p => p.GetSnapshot()).Where(p => p.Address == snapshot.Address).Sum(static p => p.Closed));
            await ExpectShownAsync(window.Page.Locator($"tbody[data-key={JsonSerializer.Serialize((snapshot.IsAdHoc ? "a " : "n ") + snapshot.Name)}]"), pool);
        }

        await ExpectShownAsync(window.Page.Locator("#totals"), report.GetProperty("totals"));
        await ExpectShownAsync(window.Page.Locator("#tiles"), report.GetProperty("totals"));
        Assert.Equal(3, report.GetProperty("totals").GetProperty("pending_requests").GetInt32());
        Assert.Equal(200, report.GetProperty("totals").GetProperty("connection").GetProperty("max").GetInt32());

        // The same document, drawn by the server for a browser without scripts.
        await using Window plain = await browser.OpenAsync(new() { JavaScriptEnabled = false });
        string drawn = System.Text.Encoding.UTF8.GetString(StatsPage.Render(report, new StatsQuery(StatsQuery.DefaultLimit, 0, ""), "stats.json"));
        await plain.Page.SetContentAsync(drawn.Replace("http-equiv=\"refresh\"", "", StringComparison.Ordinal));
        Assert.Equal(await ShownAsync(window, "#tiles"), await ShownAsync(plain, "#tiles"));
        Assert.Equal(await ShownAsync(window, "#table"), await ShownAsync(plain, "#table"));

        foreach (TcpLease lease in held)
        {
            lease.Dispose();
        }

        foreach (Task<TcpLease> late in waiting)
        {
            (await late).Dispose();
        }
    }

    [Fact]
    public async Task Load_shows_without_a_reload_and_tells_why_callers_wait()
    {
        await using Scene scene = await Scene.StartAsync();
        await using Window window = await browser.OpenAsync();
        await window.Page.GotoAsync(scene.Site.Page.ToString());
        await Assertions.Expect(window.Pool("payments").Locator("summary")).ToContainTextAsync("Quiet: no connection was rented");
        await using Callers callers = scene.Load();
        foreach ((string pool, string verdict) in new[] { ("cache", "Served at once: "), ("payments", "Waiting: "), ("quotes", "Dialing: "), ("archive", "Unreachable: ") })
        {
            await Assertions.Expect(window.Pool(pool).Locator("summary")).ToContainTextAsync(verdict);
        }

        await Assertions.Expect(window.Page.Locator("tbody[data-key^='a ']")).ToHaveCountAsync(1);
        await Assertions.Expect(window.Pool("cache").Locator("[data-spark='rates.rents'] polyline")).ToHaveAttributeAsync("points", new System.Text.RegularExpressions.Regex("[0-9]+,[0-9.]+ "));
        await Assertions.Expect(window.Pool("cache").Locator("[data-spark='rates.rents'] + .vh")).ToContainTextAsync("Since this page watches: from");
    }

    [Fact]
    public async Task Without_scripts_the_page_reloads_itself()
    {
        await using Scene scene = await Scene.StartAsync();
        await using Window window = await browser.OpenAsync(new() { JavaScriptEnabled = false });
        await window.Page.GotoAsync(scene.Site.Page.ToString());
        ILocator used = window.Pool("cache").Locator("[data-f='connection.used']");
        await Assertions.Expect(used).ToHaveTextAsync("0");
        await using TcpLease lease = await scene.Pool("cache").RentAsync(Patience.Token);
        await Assertions.Expect(used).ToHaveTextAsync("1");
        await Assertions.Expect(window.Page.GetByRole(AriaRole.Button, new() { Name = "Pause" })).ToBeHiddenAsync();
        await window.Pool("cache").Locator("summary").ClickAsync();
        await Assertions.Expect(window.Pool("cache").GetByRole(AriaRole.Table, new() { Name = "Limits and state" })).ToBeVisibleAsync();
    }

    [Fact]
    public async Task Ten_thousand_pools_are_capped_and_found_by_name()
    {
        TcpPoolSnapshot[] pools = [.. Enumerable.Range(0, 10_000).Select(static i => Snapshots.Pool($"10.0.{i / 256}.{i % 256}:6379") with { IsAdHoc = true })];
        pools[7_777] = pools[7_777] with { Waiting = 2 };
        await using Site site = await MadeUp.StartAsync(() => pools);
        await using Window window = await browser.OpenAsync();
        IPage page = window.Page;
        await page.GotoAsync(site.Page.ToString());
        await window.NextFiguresAsync();
        ILocator rows = page.Locator("tbody[data-key]");
        await Assertions.Expect(rows).ToHaveCountAsync(200);
        await Assertions.Expect(rows.First.Locator(".name")).ToHaveTextAsync(pools[7_777].Name);
        await Assertions.Expect(page.Locator("#note")).ToContainTextAsync("Showing 200 of 10,000 pools");
        await Assertions.Expect(page.Locator("#totals [data-f=pools]")).ToHaveTextAsync("10,000");

        await page.GetByRole(AriaRole.Link, new() { Name = "More pools" }).ClickAsync();
        await window.NextFiguresAsync();
        Assert.Equal(200, await rows.CountAsync());
        Assert.EndsWith("?offset=200", page.Url, StringComparison.Ordinal);
        await Assertions.Expect(page.GetByRole(AriaRole.Link, new() { Name = "Earlier pools" })).ToBeVisibleAsync();

        await page.GetByRole(AriaRole.Searchbox, new() { Name = "Pool" }).FillAsync("10.0.39.15:");
        await page.Keyboard.PressAsync("Enter");
        await Assertions.Expect(rows).ToHaveCountAsync(1);
        await window.NextFiguresAsync();
        await Assertions.Expect(rows).ToHaveCountAsync(1);
        await Assertions.Expect(rows.Locator(".name")).ToHaveTextAsync("10.0.39.15:6379");
        await Assertions.Expect(page.Locator("#note")).ToContainTextAsync("Showing 1 of 10,000 pools");

        JsonElement all = await site.JsonAsync("?limit=10000");
        Assert.Equal(10_000, all.GetProperty("pools").GetArrayLength());
    }

    private static void ExpectFrozen(TcpPoolSnapshot pool, JsonElement json, long closesAtAddress)
    {
        long Number(string path) => (long)Value(json, path)!.Value.GetDouble();
        double Seconds(string path) => Value(json, path)!.Value.GetDouble();
        Assert.Equal((pool.Address, pool.IsAdHoc, pool.Generation), (json.GetProperty("address").GetString(), json.GetProperty("ad_hoc").GetBoolean(), (int)Number("generation")));
        Assert.Equal(
            (pool.Idle, pool.Used, pool.Connecting, pool.Closing, pool.Waiting),
            (Number("connection.idle"), Number("connection.used"), Number("connection.connecting"), Number("connection.closing"), Number("pending_requests")));
        Assert.Equal(
            (pool.MaxConnections, pool.MinIdleConnections, pool.MaxConnecting, pool.MaxWaiters),
            (Number("connection.max"), Number("connection.idle_min"), Number("connection.connecting_max"), Number("pending_requests_max")));
        Assert.Equal(
            (pool.Rents, pool.RentsWaited, pool.RentsRefused, pool.Created, pool.DialsFailed, pool.RentTimeouts, pool.Retries),
            (Number("rents"), Number("rents_waited"), Number("rents_refused"), Number("created"), Number("create_failures"), Number("timeouts"), Number("retries")));
        Assert.Equal(
            (pool.WaitTime.Count, pool.WaitTime.Total.TotalSeconds, pool.WaitTime.Average.TotalSeconds, pool.WaitTime.Longest.TotalSeconds),
            (Number("wait_time.count"), Seconds("wait_time.total"), Seconds("wait_time.average"), Seconds("wait_time.longest")));
        Assert.Equal(
            (pool.CreateTime.Count, pool.CreateTime.Total.TotalSeconds, pool.CreateTime.Average.TotalSeconds, pool.CreateTime.Longest.TotalSeconds),
            (Number("create_time.count"), Seconds("create_time.total"), Seconds("create_time.average"), Seconds("create_time.longest")));
        Assert.Equal((pool.Closed, pool.ClosedByPeer), (Number("closed.count"), Number("closed.by_initiator.peer")));
        Assert.Equal(pool.ClosedByReason.OrderBy(static r => r.Key), Counts("closed.by_reason"));
        Assert.Equal(pool.ClosedByMethod.OrderBy(static r => r.Key), Counts("closed.by_method"));
        Assert.Equal(pool.Addresses.Select(static a => (a.EndPoint.ToString(), a.Connections)), json.GetProperty("addresses").EnumerateArray().Select(static a => (a.GetProperty("endpoint").GetString(), a.GetProperty("connections").GetInt32())));
        Assert.Equal(pool.LastConnectError is { } error ? ErrorTypes.Of(error) : null, Value(json, "last_connect_error.type")?.GetString());

        // TIME-WAITs run out by themselves, and pools to one address share them: exact only where nothing was closed.
        if (closesAtAddress == 0)
        {
            Assert.Equal((pool.PortsUsed, pool.PortBudget, pool.TimeWaitLimit), (Number("port.used"), Number("port.budget"), Number("port.time_wait_max")));
        }

        IEnumerable<KeyValuePair<string, long>> Counts(string path) =>
            Value(json, path)!.Value.EnumerateObject().Select(static count => KeyValuePair.Create(count.Name, count.Value.GetInt64())).OrderBy(static count => count.Key);
    }

    private static async Task ExpectShownAsync(ILocator root, JsonElement data)
    {
        JsonElement cells = (await root.EvaluateAsync(Cells))!.Value;
        Assert.True(cells.GetArrayLength() >= 15);
        foreach (JsonElement cell in cells.EnumerateArray())
        {
            (string path, string type, string text) = (cell[0].GetString()!, cell[1].GetString()!, cell[2].GetString()!);
            JsonElement? value = Value(data, path);
            double? number = value is { ValueKind: JsonValueKind.Number } n ? n.GetDouble() : null;
            string expected = type switch
            {
                "n" => Format.Whole(number),
                "r" => Format.Rate(number),
                "s" => Format.Seconds(number),
                "p" => Format.Share(number),
                "l" => string.Join(", ", value!.Value.EnumerateArray().Select(static code => code.GetString()!.Replace('_', ' '))),
                "c" => value!.Value.GetString()!.Replace('_', ' '),
                _ => value?.GetString() ?? Format.None,
            };
            Assert.Equal($"{path} {expected}", $"{path} {text}");
        }
    }

    private static async Task<string> ShownAsync(Window window, string part)
    {
        ILocator root = window.Page.Locator(part);
        return $"{(await root.EvaluateAsync(Cells))!.Value}\n{(await root.EvaluateAsync(Shapes))!.Value}".Replace("],[", "]\n[", StringComparison.Ordinal);
    }

    private static JsonElement? Value(JsonElement data, string path)
    {
        foreach (string name in path.Split('.'))
        {
            if (data.ValueKind != JsonValueKind.Object || !data.TryGetProperty(name, out data))
            {
                return null;
            }
        }

        return data.ValueKind == JsonValueKind.Null ? null : data;
    }
}
