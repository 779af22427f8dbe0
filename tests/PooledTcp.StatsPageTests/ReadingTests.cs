using System.Text.Json;
using Microsoft.Playwright;
using PooledTcp.StatsPageTests.Support;
using Xunit;

namespace PooledTcp.StatsPageTests;

/// <summary>For whoever reads it: on a phone, in the dark, with a keyboard, with a screen reader.</summary>
public sealed class ReadingTests(Browser browser)
{
    // The lowest contrast of any visible text against what is painted behind it, and of which text.
    private const string LowestContrast = """
        () => {
          const channels = text => text.match(/[\d.]+/g).map(Number);
          const light = ([r, g, b]) => [r, g, b].map(c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4).reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
          const behind = el => { for (; el; el = el.parentElement) { const c = channels(getComputedStyle(el).backgroundColor); if (c.length < 4 || c[3] === 1) return c; } return [255, 255, 255]; };
          let lowest = [21, ''];
          let texts = 0;
          const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
          while (walker.nextNode()) {
            const el = walker.currentNode.parentElement, text = walker.currentNode.textContent.trim();
            if (!text || !el.checkVisibility() || el.closest('script, style, template, .vh, .pools > thead')) continue;
            const [a, b] = [light(channels(getComputedStyle(el).color)), light(behind(el))].sort((x, y) => y - x);
            texts++;
            if ((a + 0.05) / (b + 0.05) < lowest[0]) lowest = [(a + 0.05) / (b + 0.05), text];
          }
          return [lowest[0], lowest[1], texts];
        }
        """;

    private static readonly string LongName = string.Concat(Enumerable.Repeat("a-very-long-name.", 8));

    private static readonly TcpPoolSnapshot[] Pools =
    [
        Snapshots.Pool("gone") with
        {
            BreakerState = BreakerState.Open, DialsFailed = 5, LastConnectErrorAge = TimeSpan.FromSeconds(3),
            LastConnectError = new IOException($"Connection refused [{string.Concat(Enumerable.Repeat("0123456789abcdef", 12))}]:6379"),
        },
        Snapshots.Pool("narrow") with { Used = 8, Waiting = 123_456, MaxWaiters = 1_000_000_000, RentsRefused = 1_234_567, PortsUsed = 28_000, PortBudget = 56_464, PortPressure = 0.7, TimeWaitOwed = 14_000, TimeWaitLimit = 14_116 },
        Snapshots.Pool("fine").After(rents: 123_456_789, waits: 10_000_000, waited: 3600, created: 1_000_000, dialed: 5000) with
        {
            Idle = 3, Closed = 999_997, ClosedByPeer = 12, ClosedByReason = new Dictionary<string, long> { ["health_check_failed"] = 999_997 },
            ClosedByMethod = new Dictionary<string, long> { ["graceful"] = 999_997 }, LearnedIdleLimit = TimeSpan.FromSeconds(75),
        },
        Snapshots.Pool(LongName),
        Snapshots.Pool("[2001:db8:1234:5678:9abc:def0:1234:5678]:65535#tenant-4711") with { IsAdHoc = true },
    ];

    public static TheoryData<ColorScheme, int> Screens() => new()
    {
        { ColorScheme.Light, 1360 },
        { ColorScheme.Dark, 1360 },
        { ColorScheme.Light, 360 },
        { ColorScheme.Dark, 360 },
    };

    [Theory]
    [MemberData(nameof(Screens))]
    public async Task It_fits_the_screen_has_contrast_and_passes_axe(ColorScheme scheme, int width)
    {
        await using Site site = await MadeUp.StartAsync(static () => Pools);
        await using Window window = await browser.OpenAsync(new() { ViewportSize = new() { Width = width, Height = 800 }, ColorScheme = scheme });
        IPage page = window.Page;
        await page.GotoAsync(site.Page.ToString());
        await window.NextFiguresAsync();
        await page.EvaluateAsync("() => document.querySelectorAll('details').forEach(d => d.open = true)");
        await window.FreezeAsync();

        Assert.Equal(width, await page.EvaluateAsync<int>("() => document.documentElement.scrollWidth"));
        string ground = await page.EvaluateAsync<string>("() => getComputedStyle(document.body).backgroundColor");
        Assert.Equal(scheme == ColorScheme.Dark ? "rgb(14, 19, 25)" : "rgb(243, 245, 248)", ground);

        JsonElement lowest = (await page.EvaluateAsync(LowestContrast))!.Value;
        Assert.True(lowest[0].GetDouble() >= 4.5, $"contrast {lowest[0]} of '{lowest[1]}'");
        Assert.True(lowest[2].GetInt32() > 150, "texts were looked at");

        await page.EvaluateAsync(Axe.Script);
        string violations = await page.EvaluateAsync<string>(
            "async () => (await axe.run()).violations.map(v => `${v.id}: ${v.help}: ${v.nodes.map(n => n.target.join(' ')).slice(0, 5).join(', ')}`).join('\\n')");
        Assert.Equal("", violations);
    }

    [Theory]
    [InlineData(1360)]
    [InlineData(360)]
    public async Task A_screen_reader_finds_tables_with_heads(int width)
    {
        await using Site site = await MadeUp.StartAsync(static () => Pools);
        await using Window window = await browser.OpenAsync(new() { ViewportSize = new() { Width = width, Height = 800 } });
        IPage page = window.Page;
        await page.GotoAsync(site.Page.ToString());
        ILocator table = page.GetByRole(AriaRole.Table, new() { NameRegex = new("^Every pool") });
        await Assertions.Expect(table.GetByRole(AriaRole.Columnheader, new() { Name = "TIME-WAIT", Exact = true })).ToHaveCountAsync(1);
        await Assertions.Expect(table.GetByRole(AriaRole.Columnheader, new() { Name = "Connections", Exact = true })).ToHaveCountAsync(1);
        ILocator row = table.GetByRole(AriaRole.Row).Filter(new() { Has = page.GetByRole(AriaRole.Rowheader, new() { NameRegex = new("^narrow") }) });
        await Assertions.Expect(row).ToHaveCountAsync(1);
        await Assertions.Expect(row.GetByRole(AriaRole.Cell)).ToHaveCountAsync(18);
        await Assertions.Expect(window.Pool("narrow").Locator("summary")).ToContainTextAsync("strained Waiting: 123,456 callers wait, and none was served");
        await Assertions.Expect(page.GetByRole(AriaRole.Main)).ToHaveCountAsync(1);
        await Assertions.Expect(page.GetByRole(AriaRole.Search)).ToHaveCountAsync(1);
        await Assertions.Expect(page.GetByRole(AriaRole.Heading, new() { Level = 1 })).ToHaveTextAsync("PooledTcp");

        // The lines are pictures; what they say is said in words next to them.
        Assert.Equal(0, await page.Locator("svg:not([aria-hidden=true])").CountAsync());
        await window.Pool("fine").Locator("summary").ClickAsync();
        await Assertions.Expect(window.Pool("fine").GetByRole(AriaRole.Table, new() { Name = "Closes by reason" })
            .GetByRole(AriaRole.Rowheader, new() { Name = "health check failed" })).ToBeVisibleAsync();
    }

    [Fact]
    public async Task Everything_can_be_done_with_the_keyboard()
    {
        await using Site site = await MadeUp.StartAsync(static () => Pools);
        await using Window window = await browser.OpenAsync();
        IPage page = window.Page;
        await page.GotoAsync(site.Page.ToString());
        await window.NextFiguresAsync();

        await page.Keyboard.PressAsync("Tab");
        ILocator skip = page.GetByRole(AriaRole.Link, new() { Name = "Skip to the pools" });
        await Assertions.Expect(skip).ToBeFocusedAsync();
        await Assertions.Expect(skip).ToBeInViewportAsync();
        await page.Keyboard.PressAsync("Enter");
        await Assertions.Expect(page.Locator("#pools")).ToBeFocusedAsync();
        await page.Keyboard.PressAsync("Tab");
        ILocator first = page.Locator("tbody[data-key] summary").First;
        await Assertions.Expect(first).ToBeFocusedAsync();
        Assert.Equal("solid", await first.EvaluateAsync<string>("el => getComputedStyle(el).outlineStyle"));
        await page.Keyboard.PressAsync("Enter");
        await Assertions.Expect(page.Locator("tbody[data-key] .panel").First).ToBeVisibleAsync();
        await window.NextFiguresAsync();
        await Assertions.Expect(first).ToBeFocusedAsync();
        await Assertions.Expect(page.Locator("tbody[data-key] .panel").First).ToBeVisibleAsync();

        await page.Keyboard.PressAsync("Shift+Tab");
        await page.Keyboard.PressAsync("Shift+Tab");
        await Assertions.Expect(page.GetByRole(AriaRole.Button, new() { Name = "Pause" })).ToBeFocusedAsync();
        await page.Keyboard.PressAsync("Space");
        await Assertions.Expect(page.GetByRole(AriaRole.Button, new() { Name = "Resume" })).ToBeFocusedAsync();
        await Assertions.Expect(page.GetByRole(AriaRole.Status)).ToHaveTextAsync("Paused.");
        await page.Keyboard.PressAsync("Shift+Tab");
        await page.Keyboard.PressAsync("Shift+Tab");
        await page.Keyboard.TypeAsync("narrow");
        await page.Keyboard.PressAsync("Enter");
        await Assertions.Expect(page.Locator("tbody[data-key]")).ToHaveCountAsync(1);
    }

    [Fact]
    public async Task Nothing_moves_for_who_wants_no_motion()
    {
        await using Site site = await MadeUp.StartAsync(static () => Pools);
        foreach ((ReducedMotion motion, string animation) in new[] { (ReducedMotion.Reduce, "none"), (ReducedMotion.NoPreference, "pulse") })
        {
            await using Window window = await browser.OpenAsync(new() { ReducedMotion = motion });
            await window.Page.GotoAsync(site.Page.ToString());
            Assert.Equal(animation, await window.Page.Locator(".pulse").EvaluateAsync<string>("el => getComputedStyle(el).animationName"));
        }
    }
}
