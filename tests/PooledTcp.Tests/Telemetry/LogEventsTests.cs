using System.Reflection;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Logging;
using Xunit;

namespace PooledTcp.Tests.Telemetry;

/// <summary>What docs/logs.md lists is what the library logs.</summary>
public sealed partial class LogEventsTests
{
    private static readonly MethodInfo[] Methods =
        [.. typeof(TcpPool).Assembly.GetTypes()
            .SelectMany(static type => type.GetMethods(BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic))
            .Where(static method => method.IsDefined(typeof(LoggerMessageAttribute)))];

    private static IEnumerable<LoggerMessageAttribute> Events => Methods.Select(EventOf);

    [Fact]
    public void The_table_is_that_of_the_methods() =>
        Assert.Equal(Methods.OrderBy(static method => EventOf(method).EventId).Select(Row), Documented());

    [Fact]
    public void Ids_and_names_are_given_once()
    {
        Assert.NotEmpty(Methods);
        Assert.Equal(Methods.Length, Events.Select(static e => e.EventId).Distinct().Count());
        Assert.Equal(Methods.Length, Events.Select(static e => e.EventName).Distinct(StringComparer.Ordinal).Count());
        Assert.All(Events, static e => Assert.StartsWith("pooled_tcp.", e.EventName, StringComparison.Ordinal));
    }

    private static LoggerMessageAttribute EventOf(MethodInfo method) => method.GetCustomAttribute<LoggerMessageAttribute>()!;

    private static string Row(MethodInfo method)
    {
        LoggerMessageAttribute e = EventOf(method);
        IEnumerable<string> fields = Placeholder().Matches(e.Message).Select(static match => $"`{match.Groups[1].Value}`");
        bool hasException = method.GetParameters().Any(static parameter => parameter.ParameterType == typeof(Exception));
        return string.Join(
            " | ", e.EventId, $"`{e.EventName}`", e.Level, string.Join(", ", hasException ? fields.Append("exception") : fields));
    }

    private static IEnumerable<string> Documented() => File.ReadLines(Path.Combine(Repository(), "docs", "logs.md"))
        .SkipWhile(static line => line != "<!-- events -->")
        .TakeWhile(static line => line != "<!-- /events -->")
        .Where(static line => line.Length > 2 && char.IsAsciiDigit(line[2]))
        .Select(static line => string.Join(" | ", line.Split('|', StringSplitOptions.TrimEntries)[1..5]));

    private static string Repository()
    {
        string? folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "PooledTcp.sln")))
        {
            folder = Path.GetDirectoryName(folder) ?? throw new InvalidOperationException("Not inside the repository.");
        }

        return folder;
    }

    [GeneratedRegex(@"\{(\w+)(?::[^}]*)?\}")]
    private static partial Regex Placeholder();
}
