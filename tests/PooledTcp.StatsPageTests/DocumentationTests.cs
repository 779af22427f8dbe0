using System.Text.Json;
using PooledTcp.AspNetCore.Stats;
using PooledTcp.StatsPageTests.Support;
using Xunit;

namespace PooledTcp.StatsPageTests;

/// <summary>docs/stats-page.md names every field of the JSON, and every field is one of its.</summary>
public sealed class DocumentationTests
{
    private static readonly string Page = File.ReadAllText(Path.Combine(Root(), "docs", "stats-page.md"));

    [Fact]
    public void Every_field_of_the_json_is_documented()
    {
        TcpPoolSnapshot pool = Snapshots.Pool() with
        {
            LastConnectError = new IOException("no"),
            LastConnectErrorAge = TimeSpan.FromSeconds(1),
            Closed = 1,
            ClosedByPeer = 1,
            ClosedByReason = new Dictionary<string, long>(),
            ClosedByMethod = new Dictionary<string, long>(),
        };
        var time = new Microsoft.Extensions.Time.Testing.FakeTimeProvider();
        var collector = new StatsCollector(() => ([pool], null), time);
        collector.Collect();
        time.Advance(TimeSpan.FromSeconds(2));
        JsonElement report = JsonSerializer.SerializeToElement(
            collector.Collect().ToReport(new StatsQuery(1, 0, ""), "service"), StatsJsonContext.Default.StatsReport);
        string[] names = [.. Names(report).Distinct()];
        Assert.InRange(names.Length, 60, 200);
        Assert.All(names, static name => Assert.Contains($"`{name}`", Page, StringComparison.Ordinal));
    }

    [Fact]
    public void The_settings_of_the_query_are_documented_with_their_ranges()
    {
        Assert.Contains($"| `limit` | {StatsQuery.DefaultLimit} | how many pools are listed, 1 to {StatsQuery.MaxLimit}; of the page itself to {StatsQuery.MaxRows} |", Page, StringComparison.Ordinal);
        Assert.Contains($"Only the first {StatsQuery.DefaultLimit} pools are listed", Page, StringComparison.Ordinal);
    }

    private static IEnumerable<string> Names(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => value.EnumerateObject().SelectMany(static property => Names(property.Value).Prepend(property.Name)),
        JsonValueKind.Array => value.EnumerateArray().SelectMany(Names),
        _ => [],
    };

    private static string Root()
    {
        string? folder = AppContext.BaseDirectory;
        while (folder is not null && !File.Exists(Path.Combine(folder, "PooledTcp.sln")))
        {
            folder = Path.GetDirectoryName(folder);
        }

        return folder ?? throw new InvalidOperationException("The tests do not run in the repository.");
    }
}
