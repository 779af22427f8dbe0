using System.Text.RegularExpressions;
using Microsoft.Playwright;
using PooledTcp.StatsPageTests.Support;
using Xunit;

namespace PooledTcp.StatsPageTests;

/// <summary>The page renews itself, and leaves alone who reads it.</summary>
public sealed partial class RefreshTests(Browser browser)
{
    [Fact]
    public async Task Pools_come_and_go_without_a_reload()
    {
        TcpPoolSnapshot[] pools = [Snapshots.Pool("a"), Snapshots.Pool("b")];
        await using Site site = await MadeUp.StartAsync(() => pools);
        await using Window window = await browser.OpenAsync();
        await window.Page.GotoAsync(site.Page.ToString());
        pools = [Snapshots.Pool("b") with { Used = 3 }, Snapshots.Pool("c")];
        await Assertions.Expect(window.Pool("c")).ToHaveCountAsync(1);
        await Assertions.Expect(window.Pool("a")).ToHaveCountAsync(0);
        await Assertions.Expect(window.Pool("b").Locator("[data-f='connection.used']")).ToHaveTextAsync("3");
        Assert.Equal(["b", "c"], await OrderAsync(window.Page));
    }

    [Fact]
    public async Task Trouble_rises_unless_somebody_reads_the_table()
    {
        TcpPoolSnapshot[] pools = [Snapshots.Pool("a"), Snapshots.Pool("b"), Snapshots.Pool("c")];
        await using Site site = await MadeUp.StartAsync(() => pools);
        await using Window window = await browser.OpenAsync();
        IPage page = window.Page;
        await page.GotoAsync(site.Page.ToString());
        await window.NextFiguresAsync();
        ILocator summary = window.Pool("a").Locator("summary");
        await summary.FocusAsync();

        pools = [pools[0], pools[1], pools[2] with { BreakerState = BreakerState.Open }];
        await Assertions.Expect(window.Pool("c")).ToHaveAttributeAsync("data-severity", "failing");
        await window.NextFiguresAsync();
        Assert.Equal(["a", "b", "c"], await OrderAsync(page));
        await Assertions.Expect(summary).ToBeFocusedAsync();

        await page.GetByRole(AriaRole.Button, new() { Name = "Pause" }).FocusAsync();
        await Assertions.Expect(page.Locator("tbody[data-key]").First.Locator(".name")).ToHaveTextAsync("c");
        Assert.Equal(["c", "a", "b"], await OrderAsync(page));

        // Details that are open are being read, too; so is a row whose pool has gone, while it has the focus.
        await window.Pool("a").Locator("summary").FocusAsync();
        await page.Keyboard.PressAsync("Enter");
        await page.GetByRole(AriaRole.Button, new() { Name = "Pause" }).FocusAsync();
        pools = [Snapshots.Pool("a"), Snapshots.Pool("b"), Snapshots.Pool("d") with { Waiting = 1 }];
        await Assertions.Expect(window.Pool("d")).ToHaveCountAsync(1);
        Assert.Equal(["a", "b", "d"], await OrderAsync(page));

        await window.Pool("a").Locator("summary").FocusAsync();
        pools = [Snapshots.Pool("b")];
        await Assertions.Expect(window.Pool("d")).ToHaveCountAsync(0);
        await Assertions.Expect(window.Pool("a")).ToHaveClassAsync(GonePattern());
        await Assertions.Expect(window.Pool("a").Locator("summary")).ToBeFocusedAsync();
        await page.GetByRole(AriaRole.Button, new() { Name = "Pause" }).FocusAsync();
        await Assertions.Expect(window.Pool("a")).ToHaveCountAsync(0);
    }

    [Fact]
    public async Task A_page_scrolled_down_stays_where_it_is()
    {
        TcpPoolSnapshot[] pools = [.. Enumerable.Range(0, 60).Select(static i => Snapshots.Pool($"pool {i:00}"))];
        await using Site site = await MadeUp.StartAsync(() => pools);
        await using Window window = await browser.OpenAsync();
        await window.Page.GotoAsync(site.Page.ToString());
        await window.NextFiguresAsync();
        await window.Page.EvaluateAsync("() => scrollTo(0, 1500)");
        pools = [.. pools[..59], pools[59] with { BreakerState = BreakerState.Open }, Snapshots.Pool("pool 99")];
        await Assertions.Expect(window.Pool("pool 99")).ToHaveCountAsync(1);
        await window.NextFiguresAsync();
        Assert.Equal(1500, await window.Page.EvaluateAsync<int>("() => scrollY"));
        Assert.Equal("pool 00", (await OrderAsync(window.Page))[0]);
    }

    [Fact]
    public async Task Paused_the_page_shows_old_figures_and_says_so()
    {
        TcpPoolSnapshot[] pools = [Snapshots.Pool("a")];
        await using Site site = await MadeUp.StartAsync(() => pools);
        await using Window window = await browser.OpenAsync();
        await using Window other = await browser.OpenAsync();
        await window.Page.GotoAsync(site.Page.ToString());
        await other.Page.GotoAsync(site.Page.ToString());
        await window.FreezeAsync();
        await Assertions.Expect(window.Page.Locator(".read")).ToContainTextAsync("Paused at figures of");
        pools = [pools[0] with { Used = 5 }];
        await Assertions.Expect(other.Pool("a").Locator("[data-f='connection.used']")).ToHaveTextAsync("5");
        await other.NextFiguresAsync();
        await other.NextFiguresAsync();
        await Assertions.Expect(window.Pool("a").Locator("[data-f='connection.used']")).ToHaveTextAsync("0");
        await window.Page.GetByRole(AriaRole.Button, new() { Name = "Resume" }).ClickAsync();
        await Assertions.Expect(window.Pool("a").Locator("[data-f='connection.used']")).ToHaveTextAsync("5");
    }

    [Fact]
    public async Task A_server_that_does_not_answer_is_named_and_its_old_figures_are_dated()
    {
        TcpPoolSnapshot[] pools = [Snapshots.Pool("a") with { Used = 5 }];
        await using Site site = await MadeUp.StartAsync(() => pools);
        await using Window window = await browser.OpenAsync();
        IPage page = window.Page;
        await page.GotoAsync(site.Page.ToString());
        await window.NextFiguresAsync();
        ILocator alarm = page.GetByRole(AriaRole.Alert);

        await page.RouteAsync("**/stats.json*", static route => route.AbortAsync());
        await Assertions.Expect(alarm).ToHaveTextAsync(DatedPattern("The server does not answer."));
        await Assertions.Expect(window.Pool("a").Locator("[data-f='connection.used']")).ToHaveTextAsync("5");

        await page.UnrouteAllAsync();
        await page.RouteAsync("**/stats.json*", static route => route.FulfillAsync(new() { Status = 401 }));
        await Assertions.Expect(alarm).ToHaveTextAsync(DatedPattern("The server wants you to sign in again (401): reload this page."));

        // A redirect to a page for signing in ends so.
        await page.UnrouteAllAsync();
        await page.RouteAsync("**/stats.json*", static route => route.FulfillAsync(new() { Status = 200, ContentType = "text/html", Body = "<p>Sign in" }));
        await Assertions.Expect(alarm).ToHaveTextAsync(DatedPattern("The server answers, but not with figures (status 200)."));

        await page.UnrouteAllAsync();
        await Assertions.Expect(page.Locator("#alarm")).ToBeHiddenAsync();
        await Assertions.Expect(page.GetByRole(AriaRole.Status)).ToHaveTextAsync("The server answers again.");

        // The browser itself says so of the requests that failed.
        Assert.All(window.Complaints, static complaint => Assert.StartsWith("error: Failed to load resource", complaint, StringComparison.Ordinal));
        window.Complaints.Clear();
    }

    private static async Task<IReadOnlyList<string>> OrderAsync(IPage page) => await page.Locator("tbody[data-key] .name").AllTextContentsAsync();

    private static Regex DatedPattern(string what) =>
        new($"^{Regex.Escape(what)} The figures below are those of [0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}\\.$", RegexOptions.None, TimeSpan.FromSeconds(1));

    [GeneratedRegex("gone")]
    private static partial Regex GonePattern();
}
