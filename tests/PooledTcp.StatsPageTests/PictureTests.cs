using Microsoft.Playwright;
using PooledTcp.StatsPageTests.Support;
using Xunit;

namespace PooledTcp.StatsPageTests;

/// <summary>
/// The pictures of docs/stats-page.md. They are always taken, of a few seconds; with POOLEDTCP_STATS_PICTURES naming a folder they
/// are of a minute, and kept there.
/// </summary>
public sealed class PictureTests(Browser browser)
{
    private static readonly string? Folder = Environment.GetEnvironmentVariable("POOLEDTCP_STATS_PICTURES");

    [Fact]
    public async Task The_page_under_load_fits_a_desktop_and_a_phone()
    {
        await using Scene scene = await Scene.StartAsync();
        await using Window desktop = await browser.OpenAsync(new() { ViewportSize = new() { Width = 1360, Height = 860 }, ColorScheme = ColorScheme.Light });
        await using Window phone = await browser.OpenAsync(new() { ViewportSize = new() { Width = 390, Height = 1100 }, ColorScheme = ColorScheme.Dark });
        await using Callers callers = scene.Load();
        await desktop.Page.GotoAsync(scene.Site.Page.ToString());
        await phone.Page.GotoAsync(scene.Site.Page.ToString());
        for (int i = 0; i < (Folder is null ? 2 : 28); i++)
        {
            await desktop.NextFiguresAsync();
        }

        foreach ((Window window, string name) in new[] { (desktop, "stats-page.png"), (phone, "stats-page-dark-phone.png") })
        {
            Assert.True(await window.Page.EvaluateAsync<bool>("() => document.documentElement.scrollWidth <= document.documentElement.clientWidth"), name);
            byte[] picture = await window.Page.ScreenshotAsync(new() { Path = Folder is null ? null : Path.Combine(Folder, name) });
            Assert.InRange(picture.Length, 10_000, Folder is null ? int.MaxValue : 200_000);
        }
    }
}
