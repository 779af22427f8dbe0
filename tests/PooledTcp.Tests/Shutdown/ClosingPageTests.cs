using System.Text;
using Microsoft.Extensions.Configuration;
using PooledTcp.Configuration;
using PooledTcp.Shutdown;
using Xunit;

namespace PooledTcp.Tests.Shutdown;

/// <summary>The table of docs/closing.md is the decision: for every combination of facts its first matching row is what the code plans.</summary>
public class ClosingPageTests
{
    private static readonly string[] Page = File.ReadAllLines(Path.Combine(Repository(), "docs", "closing.md"));

    /// <summary>The words of the column "what is known". A word that is not here fails the test.</summary>
    private static readonly Dictionary<string, Func<CloseFacts, bool>> Known = new(StringComparer.Ordinal)
    {
        ["unix socket"] = static f => f.IsUnix,
        ["reset by the peer"] = static f => f.State == ConnectionState.Reset,
        ["dial given up"] = static f => f.State == ConnectionState.Connecting,
        ["FIN seen"] = static f => f.State == ConnectionState.PeerClosed,
        ["vanished"] = static f => f.Vanished,
        ["port wanted"] = static f => f.PortsExhausted && f.HasWaiters,
        ["farewell"] = static f => f.GoodbyeKnown,
        ["token"] = static f => f.TokenAvailable,
        ["unsent"] = static f => f.HasUnsent,
        ["nothing unsent"] = static f => !f.HasUnsent,
        ["nothing unread"] = static f => !f.HasUnread,
        ["abort allowed"] = static f => f.AllowAbort,
    };

    private static readonly Dictionary<string, Func<CloseFacts, bool>> Reasons = new(StringComparer.Ordinal)
    {
        ["any"] = static _ => true,
        ["out of step"] = static f => f.IsOutOfStep,
        ["shutdown"] = static f => f.Reason == CloseReason.PoolShutdown,
    };

    [Fact]
    public void The_first_row_that_matches_is_the_plan_for_every_combination_of_facts()
    {
        List<Row> decision = [.. Rows("decision").Select(static cells => new Row(
            string.Join(" | ", cells),
            f => (cells[0] == "any" || cells[0] == f.ClosesFirst.ToString()) && Reasons[cells[1]](f) && AllKnown(cells[2], f),
            Methods(cells[3])))];
        List<Row> instead = [.. Rows("instead").Select(static cells => new Row(
            string.Join(" | ", cells), f => AllKnown(cells[0], f), Methods(cells[1])))];
        var used = new HashSet<Row>();
        int seen = 0;
        foreach (CloseFacts facts in EveryCombination())
        {
            Row row = decision.First(candidate => candidate.Matches(facts));
            used.Add(row);
            CloseMethod[] expected = row.Plan;
            if (!(facts.QuietSupported && facts.AllowQuietClose) && expected.Contains(CloseMethod.Quiet))
            {
                Row other = instead.First(candidate => candidate.Matches(facts));
                used.Add(other);
                expected = [.. expected.Select(method => method == CloseMethod.Quiet ? other.Plan.Single() : method).Distinct()];
            }

            ClosePlan plan = ShutdownPolicy.Decide(facts);
            CloseMethod[] actual = [.. new[] { plan.First, plan.Second, plan.Third }.TakeWhile(static method => method != CloseMethod.None)];
            if (!expected.SequenceEqual(actual))
            {
                Assert.Fail($"The page says \"{row.Text}\", the code plans {string.Join(", then ", actual)} for {facts}.");
            }

            seen++;
        }

        Assert.Equal(13 * 4 * 3 * 2048, seen);
        Assert.Equal(decision.Concat(instead), decision.Concat(instead).Where(used.Contains)); // no row is idle
    }

    [Fact]
    public void The_reasons_that_the_page_calls_out_of_step_are_those_of_the_code()
    {
        string line = Page.Single(static line => line.StartsWith("- **out of step**", StringComparison.Ordinal));

        Assert.Equal(
            Enum.GetValues<CloseReason>().Where(static reason => new CloseFacts { Reason = reason }.IsOutOfStep).Select(CloseReasons.Name).Order(StringComparer.Ordinal),
            line[..line.IndexOf('.', StringComparison.Ordinal)].Split('`').Where(static (_, i) => i % 2 == 1).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void The_farewells_in_JSON_are_valid_and_say_what_they_seem_to()
    {
        using var json = new MemoryStream(Encoding.UTF8.GetBytes(string.Join('\n', Fenced("json"))));
        var options = new PooledTcpOptions();
        new PooledTcpSection(new ConfigurationBuilder().AddJsonStream(json).Build().GetSection("PooledTcp")).Configure(options);

        Assert.Empty(options.BindingFaults);
        Assert.Equal(
            new Dictionary<string, string>
            {
                ["billing"] = "X\0\0\0\x04",
                ["cache"] = "*1\r\n$4\r\nQUIT\r\n",
                ["gateway"] = "QUIT\r\n",
            },
            SettingsFactory.Create(options).Endpoints.ToDictionary(
                static endpoint => endpoint.Key, static endpoint => Encoding.ASCII.GetString(endpoint.Value.Shutdown.Goodbye.Memory.Span)));
    }

    [Fact]
    public void The_farewell_in_code_is_one_that_compiles_and_does_what_it_says()
    {
        string[] source = File.ReadAllLines(Path.Combine(Repository(), "tests", "PooledTcp.Tests", "Shutdown", "SignOff.cs"));

        Assert.Equal(source.SkipWhile(static line => !line.StartsWith("internal", StringComparison.Ordinal)), Fenced("csharp"));
        Assert.Equal("BYE 7\r\n", Encoding.ASCII.GetString(new SignOff().GetFarewell("7").Span));
        Assert.True(new SignOff().GetFarewell(null).IsEmpty);
    }

    private static IEnumerable<string> Fenced(string language) =>
        Page.SkipWhile(line => line != "```" + language).Skip(1).TakeWhile(static line => line != "```");

    private static bool AllKnown(string cell, CloseFacts facts) =>
        cell.Split(", ", StringSplitOptions.RemoveEmptyEntries).All(word => Known[word](facts));

    private static CloseMethod[] Methods(string cell) => [.. cell.Split(", then ").Select(static name => Enum.Parse<CloseMethod>(name))];

    private static IEnumerable<CloseFacts> EveryCombination()
    {
        foreach (CloseReason reason in Enum.GetValues<CloseReason>())
        {
            foreach (ConnectionState state in Enum.GetValues<ConnectionState>())
            {
                foreach (ClosesFirst closesFirst in Enum.GetValues<ClosesFirst>())
                {
                    for (int bits = 0; bits < 2048; bits++)
                    {
                        yield return new CloseFacts
                        {
                            Reason = reason,
                            State = state,
                            ClosesFirst = closesFirst,
                            HasUnread = (bits & 1) != 0,
                            HasUnsent = (bits & 2) != 0,
                            Vanished = (bits & 4) != 0,
                            GoodbyeKnown = (bits & 8) != 0,
                            TokenAvailable = (bits & 16) != 0,
                            PortsExhausted = (bits & 32) != 0,
                            HasWaiters = (bits & 1024) != 0,
                            IsUnix = (bits & 64) != 0,
                            QuietSupported = (bits & 128) != 0,
                            AllowQuietClose = (bits & 256) != 0,
                            AllowAbort = (bits & 512) != 0,
                        };
                    }
                }
            }
        }
    }

    /// <summary>The cells of the table between two markers, without its head.</summary>
    private static IEnumerable<string[]> Rows(string marker) => Page
        .SkipWhile(line => line != $"<!-- {marker} -->")
        .TakeWhile(line => line != $"<!-- /{marker} -->")
        .Where(static line => line.StartsWith("| ", StringComparison.Ordinal))
        .Skip(1)
        .Select(static line => line.Split('|', StringSplitOptions.TrimEntries)[1..^1]);

    private static string Repository()
    {
        string folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "PooledTcp.sln")))
        {
            folder = Path.GetDirectoryName(folder) ?? throw new InvalidOperationException("Not inside the repository.");
        }

        return folder;
    }

    private sealed record Row(string Text, Func<CloseFacts, bool> Matches, CloseMethod[] Plan);
}
