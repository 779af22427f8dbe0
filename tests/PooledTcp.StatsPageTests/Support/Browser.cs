using Microsoft.Playwright;
using PooledTcp.StatsPageTests.Support;
using Xunit;

[assembly: AssemblyFixture(typeof(Browser))]

namespace PooledTcp.StatsPageTests.Support;

/// <summary>The system's Chromium, headless, one for all tests.</summary>
public sealed class Browser : IAsyncLifetime
{
    private static readonly string[] Names = ["chromium", "chromium-browser", "google-chrome"];
    private IPlaywright? _driver;
    private IBrowser? _browser;

    public async ValueTask InitializeAsync()
    {
        Assertions.SetDefaultExpectTimeout(Patience.BrowserMilliseconds);
        if (Find() is not { } path)
        {
            return;
        }

        _driver = await Playwright.CreateAsync();
        _browser = await _driver.Chromium.LaunchAsync(new BrowserTypeLaunchOptions
        {
            ExecutablePath = path,
            Headless = true,

            // Containers and root have no sandbox and often a small /dev/shm.
            Args = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
            Timeout = Patience.BrowserMilliseconds,
        });
    }

    public async ValueTask DisposeAsync()
    {
        if (_browser is not null)
        {
            await _browser.CloseAsync();
        }

        _driver?.Dispose();
    }

    /// <summary>A window of its own, in which nothing is remembered. Skips the test where there is no Chromium.</summary>
    internal async Task<Window> OpenAsync(BrowserNewContextOptions? options = null)
    {
        Assert.SkipWhen(_browser is null, "needs Chromium (apt-get install chromium)");
        IBrowserContext context = await _browser.NewContextAsync(options ?? new() { ViewportSize = new() { Width = 1360, Height = 900 } });
        context.SetDefaultTimeout(Patience.BrowserMilliseconds);
        return new Window(context, await context.NewPageAsync());
    }

    private static string? Find() =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
        .SelectMany(static folder => Names.Select(name => Path.Combine(folder, name)))
        .FirstOrDefault(File.Exists);
}
