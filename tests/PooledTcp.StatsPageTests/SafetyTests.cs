using System.Net;
using System.Security.Claims;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Microsoft.Playwright;
using PooledTcp.StatsPageTests.Support;
using Xunit;

namespace PooledTcp.StatsPageTests;

/// <summary>Who may read it, and what comes from outside.</summary>
public sealed class SafetyTests(Browser browser)
{
    private const string Evil = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">\"'&{{css}}@n:rents@";

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Names_and_addresses_are_text(bool scripts)
    {
        TcpPoolSnapshot[] pools =
        [
            Snapshots.Pool(Evil) with { Address = Evil },
            Snapshots.Pool(Evil) with { IsAdHoc = true },
        ];
        await using Site site = await MadeUp.StartAsync(() => pools);
        await using Window window = await browser.OpenAsync(new() { JavaScriptEnabled = scripts });
        IPage page = window.Page;
        await page.GotoAsync($"{site.Page}?pool={Uri.EscapeDataString(Evil)}");
        if (scripts)
        {
            await window.NextFiguresAsync();
        }

        Assert.Equal([Evil, Evil], await page.Locator("tbody[data-key] .name").AllTextContentsAsync());
        await Assertions.Expect(window.Page.Locator("tbody[data-key] .address").First).ToHaveTextAsync(Evil);
        await Assertions.Expect(page.GetByRole(AriaRole.Searchbox)).ToHaveValueAsync(Evil);
        Assert.Equal(0, await page.Locator("img").CountAsync());
        Assert.DoesNotContain("owned", await page.TitleAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task It_asks_its_own_origin_only_and_its_policy_stops_foreign_scripts()
    {
        await using Scene scene = await Scene.StartAsync();
        await using Window window = await browser.OpenAsync();
        IPage page = window.Page;
        await page.GotoAsync(scene.Site.Page.ToString());
        await window.NextFiguresAsync();
        await window.NextFiguresAsync();
        Assert.All(window.Requests, url => Assert.True(url.StartsWith(scene.Site.Page.ToString(), StringComparison.Ordinal) || url.StartsWith("data:", StringComparison.Ordinal), url));

        // So far nothing of its own was refused.
        Assert.Empty(window.Complaints);
        await page.EvaluateAsync("() => { const s = document.createElement('script'); s.textContent = 'window.owned = true'; document.body.append(s); }");
        await page.EvaluateAsync("() => { document.body.insertAdjacentHTML('beforeend', '<p style=\"position:fixed\">x</p>'); }");
        await page.EvaluateAsync("() => fetch('http://127.0.0.1:9/').catch(() => {})");
        Assert.False(await page.EvaluateAsync<bool>("() => !!window.owned"));
        await Patience.UntilAsync(() => window.Complaints.Count >= 3);
        Assert.All(window.Complaints, static complaint => Assert.Contains("Content Security Policy", complaint, StringComparison.Ordinal));
        window.Complaints.Clear();
    }

    [Fact]
    public async Task Page_and_json_are_not_kept_not_guessed_and_not_framed()
    {
        await using Site site = await Site.StartAsync();
        foreach ((string path, string type) in new[] { ("/pooledtcp", "text/html; charset=utf-8"), ("/pooledtcp/stats.json", "application/json; charset=utf-8") })
        {
            using HttpResponseMessage response = await site.Http.GetAsync(path, Patience.Token);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            Assert.Equal(type, response.Content.Headers.ContentType!.ToString());
            Assert.Equal("no-store", response.Headers.CacheControl!.ToString());
            Assert.Equal("nosniff", Assert.Single(response.Headers.GetValues("X-Content-Type-Options")));
            using HttpResponseMessage head = await site.Http.SendAsync(new HttpRequestMessage(HttpMethod.Head, path), Patience.Token);
            Assert.Equal((HttpStatusCode.OK, 0), (head.StatusCode, (await head.Content.ReadAsByteArrayAsync(Patience.Token)).Length));
            using HttpResponseMessage post = await site.Http.PostAsync(path, null, Patience.Token);
            Assert.Equal(HttpStatusCode.MethodNotAllowed, post.StatusCode);
        }

        using HttpResponseMessage page = await site.Http.GetAsync("/pooledtcp", Patience.Token);
        string policy = Assert.Single(page.Headers.GetValues("Content-Security-Policy"));
        Assert.StartsWith("default-src 'none'; style-src 'sha256-", policy, StringComparison.Ordinal);
        Assert.Contains("frame-ancestors 'none'", policy, StringComparison.Ordinal);
        Assert.DoesNotContain("unsafe", policy, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("limit=0", "limit is a whole number from 1 to {0}, not '0'.")]
    [InlineData("limit=10001", "limit is a whole number from 1 to {0}, not '10001'.")]
    [InlineData("limit=<b>", "limit is a whole number from 1 to {0}, not '<b>'.")]
    [InlineData("offset=-1", "offset is a whole number from 0 to 2147483647, not '-1'.")]
    public async Task A_query_that_makes_no_sense_is_refused_by_name(string query, string fault)
    {
        await using Site site = await Site.StartAsync();
        foreach ((string path, string most) in new[] { ("/pooledtcp", "500"), ("/pooledtcp/stats.json", "10000") })
        {
            using HttpResponseMessage response = await site.Http.GetAsync($"{path}?{query}", Patience.Token);
            Assert.Equal((HttpStatusCode.BadRequest, "text/plain; charset=utf-8"), (response.StatusCode, response.Content.Headers.ContentType!.ToString()));
            Assert.Equal(fault.Replace("{0}", most, StringComparison.Ordinal), await response.Content.ReadAsStringAsync(Patience.Token));
        }
    }

    /// <summary>A handshake's exception may tell a password.</summary>
    [Fact]
    public async Task Messages_of_errors_are_not_shown()
    {
        TcpPoolSnapshot pool = Snapshots.Pool() with
        {
            BreakerState = BreakerState.Open,
            LastConnectError = new InvalidOperationException("AUTH hunter2 was refused", new IOException("hunter2")),
            LastConnectErrorAge = TimeSpan.FromSeconds(3),
        };
        await using Site site = await MadeUp.StartAsync(() => [pool]);
        foreach (string path in new[] { "/pooledtcp", "/pooledtcp/stats.json" })
        {
            string body = await site.Http.GetStringAsync(path, Patience.Token);
            Assert.DoesNotContain("hunter2", body, StringComparison.Ordinal);
            Assert.Contains("System.InvalidOperationException", body, StringComparison.Ordinal);
        }

        JsonElement error = (await site.JsonAsync()).GetProperty("pools")[0].GetProperty("last_connect_error");
        Assert.Equal(["type", "age"], error.EnumerateObject().Select(static part => part.Name));
        Assert.Equal(3, error.GetProperty("age").GetDouble());
    }

    [Fact]
    public async Task The_page_stays_small_whatever_is_asked_for()
    {
        TcpPoolSnapshot[] pools = [.. Enumerable.Range(0, 10_000).Select(static i => Snapshots.Pool($"10.0.{i / 256}.{i % 256}:6379") with { IsAdHoc = true })];
        await using Site site = await MadeUp.StartAsync(() => pools);
        Assert.InRange((await site.Http.GetByteArrayAsync("/pooledtcp?limit=500", Patience.Token)).Length, 500_000, 8_000_000);
        using HttpResponseMessage refused = await site.Http.GetAsync("/pooledtcp?limit=10000", Patience.Token);
        Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
        Assert.Equal(10_000, (await site.JsonAsync("?limit=10000")).GetProperty("pools").GetArrayLength());
    }

    [Fact]
    public async Task Authorization_holds_for_the_page_and_for_the_json()
    {
        await using Site site = await Site.StartAsync(
            map: static app => app.MapPooledTcpStats().RequireAuthorization("operators"),
            services: static services =>
            {
                services.AddAuthentication("test").AddScheme<AuthenticationSchemeOptions, ByHeader>("test", null);
                services.AddAuthorizationBuilder().AddPolicy("operators", static policy => policy.RequireRole("operator"));
            });
        foreach (string path in new[] { "/pooledtcp", "/pooledtcp/stats.json" })
        {
            foreach ((string? role, HttpStatusCode expected) in new[] { (null, HttpStatusCode.Unauthorized), ("guest", HttpStatusCode.Forbidden), ("operator", HttpStatusCode.OK) })
            {
                using var request = new HttpRequestMessage(HttpMethod.Get, path);
                request.Headers.Add("X-Role", role is null ? [] : [role]);
                using HttpResponseMessage response = await site.Http.SendAsync(request, Patience.Token);
                Assert.Equal(expected, response.StatusCode);
            }
        }
    }

    [Fact]
    public async Task Unless_mapped_there_is_nothing()
    {
        await using Site site = await Site.StartAsync(map: static app => app.MapGet("/", static () => "hello"));
        foreach (string path in new[] { "/pooledtcp", "/pooledtcp/stats.json" })
        {
            using HttpResponseMessage response = await site.Http.GetAsync(path, Patience.Token);
            Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
        }
    }

    [Fact]
    public async Task Without_a_client_mapping_says_what_to_call()
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        await using WebApplication app = builder.Build();
        var error = Assert.Throws<InvalidOperationException>(() => app.MapPooledTcpStats("/pools"));
        Assert.Contains("MapPooledTcpStats(\"/pools\")", error.Message, StringComparison.Ordinal);
        Assert.Contains("AddPooledTcp", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/admin/pools", "")]
    [InlineData("/admin/pools/", "")]
    [InlineData("/behind/admin/pools", "/behind")]
    public async Task It_finds_its_json_wherever_it_stands(string path, string prefix)
    {
        await using Site site = await Site.StartAsync(
            static options => options.AddEndpoint("cache", static e => e.Address = "127.0.0.1:1"),
            app =>
            {
                // A proxy that takes a prefix off the path and tells nobody.
                app.Use((context, next) =>
                {
                    if (context.Request.Path.StartsWithSegments(prefix, out var rest) && prefix.Length > 0)
                    {
                        context.Request.Path = rest;
                    }

                    return next();
                });
                app.UseRouting();
                RouteGroupBuilder admin = app.MapGroup("/admin");
                admin.MapPooledTcpStats("pools");
            });
        await using Window window = await browser.OpenAsync();
        await window.Page.GotoAsync(new Uri(site.Page, path).ToString());
        await window.NextFiguresAsync();
        string link = await window.Page.GetByRole(AriaRole.Link, new() { Name = "The same figures as JSON" }).EvaluateAsync<string>("el => el.href");
        Assert.EndsWith($"{prefix}/admin/pools/stats.json", link, StringComparison.Ordinal);
        using JsonDocument json = JsonDocument.Parse(await site.Http.GetStringAsync(link, Patience.Token));
        Assert.Equal("Shop", json.RootElement.GetProperty("application").GetString());
    }

    [Fact]
    public async Task It_may_be_the_whole_site()
    {
        await using Site site = await Site.StartAsync(map: static app => app.MapPooledTcpStats("/"));
        Assert.Contains("href=\"./stats.json\"", await site.Http.GetStringAsync("/", Patience.Token), StringComparison.Ordinal);
        using JsonDocument json = JsonDocument.Parse(await site.Http.GetStringAsync("/stats.json", Patience.Token));
        Assert.Equal(0, json.RootElement.GetProperty("totals").GetProperty("pools").GetInt32());
    }

    private sealed class ByHeader(IOptionsMonitor<AuthenticationSchemeOptions> options, ILoggerFactory loggers, UrlEncoder encoder)
        : AuthenticationHandler<AuthenticationSchemeOptions>(options, loggers, encoder)
    {
        protected override Task<AuthenticateResult> HandleAuthenticateAsync() => Task.FromResult(
            Request.Headers["X-Role"].ToString() is { Length: > 0 } role
                ? AuthenticateResult.Success(new AuthenticationTicket(new ClaimsPrincipal(new ClaimsIdentity([new Claim(ClaimTypes.Role, role)], "test")), "test"))
                : AuthenticateResult.NoResult());
    }
}
