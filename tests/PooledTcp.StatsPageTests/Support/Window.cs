using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json;
using Microsoft.Playwright;
using Xunit;

namespace PooledTcp.StatsPageTests.Support;

/// <summary>One page in a context of its own, and what it complained about and asked for.</summary>
internal sealed class Window : IAsyncDisposable
{
    private readonly IBrowserContext _context;
    private readonly ConcurrentDictionary<DateTimeOffset, JsonElement> _reports = new();

    public Window(IBrowserContext context, IPage page)
    {
        (_context, Page) = (context, page);
        page.Console += (_, message) =>
        {
            if (message.Type is "error" or "warning")
            {
                Complaints.Add($"{message.Type}: {message.Text}");
            }
        };
        page.PageError += (_, error) => Complaints.Add($"exception: {error}");
        context.Request += (_, request) => Requests.Add(request.Url);
        context.Response += async (_, response) =>
        {
            if (response.Ok && response.Url.Contains("/stats.json", StringComparison.Ordinal))
            {
                try
                {
                    JsonElement report = (await response.JsonAsync())!.Value;
                    _reports[report.GetProperty("time").GetDateTimeOffset()] = report;
                }
                catch (Exception e) when (e is PlaywrightException or JsonException)
                {
                    // The window was closed meanwhile, or a test answered in the place of the server.
                }
            }
        };
    }

    public IPage Page { get; }

    /// <summary>Errors of the console: violations of the Content-Security-Policy among them.</summary>
    public ConcurrentBag<string> Complaints { get; } = [];

    public ConcurrentBag<string> Requests { get; } = [];

    /// <summary>Waits until the page shows figures of now, pauses it, and returns the document it shows.</summary>
    public async Task<JsonElement> FreezeAsync()
    {
        DateTimeOffset now = DateTimeOffset.UtcNow;
        while (await ReadAtAsync() <= now || !_reports.ContainsKey(await ReadAtAsync()))
        {
            await Task.Delay(50, Patience.Token);
        }

        await Page.GetByRole(AriaRole.Button, new() { Name = "Pause" }).ClickAsync();
        DateTimeOffset shown = await ReadAtAsync();
        await Patience.UntilAsync(() => _reports.ContainsKey(shown));
        return _reports[shown];
    }

    /// <summary>Of when the figures are that the page shows.</summary>
    public async Task<DateTimeOffset> ReadAtAsync() =>
        DateTimeOffset.Parse((await Page.Locator("#read").GetAttributeAsync("datetime"))!, CultureInfo.InvariantCulture);

    /// <summary>Waits until the page has renewed its figures.</summary>
    public async Task NextFiguresAsync()
    {
        DateTimeOffset before = await ReadAtAsync();
        while (await ReadAtAsync() == before)
        {
            await Task.Delay(50, Patience.Token);
        }
    }

    /// <summary>The row of a configured pool.</summary>
    public ILocator Pool(string name) => Page.Locator($"tbody[data-key={JsonSerializer.Serialize("n " + name)}]");

    public async ValueTask DisposeAsync()
    {
        await _context.CloseAsync();
        Assert.Empty(Complaints);
    }
}
