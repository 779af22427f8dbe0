using System.Reflection;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Logging;

namespace PooledTcp.Tests.Telemetry;

/// <summary>The tables of docs/logs.md, and what the methods of an assembly would have them say.</summary>
internal static partial class LogPage
{
    public static IReadOnlyList<MethodInfo> MethodsOf(Assembly assembly) =>
        [.. assembly.GetTypes()
            .SelectMany(static type => type.GetMethods(BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic))
            .Where(static method => method.IsDefined(typeof(LoggerMessageAttribute)))
            .OrderBy(static method => EventOf(method).EventId)];

    public static LoggerMessageAttribute EventOf(MethodInfo method) => method.GetCustomAttribute<LoggerMessageAttribute>()!;

    /// <summary>Id, name, level and fields of an event, as its row begins.</summary>
    public static string Row(MethodInfo method)
    {
        LoggerMessageAttribute e = EventOf(method);
        IEnumerable<string> fields = Placeholder().Matches(e.Message).Select(static match => $"`{match.Groups[1].Value}`");
        bool hasException = method.GetParameters().Any(static parameter => parameter.ParameterType == typeof(Exception));
        return string.Join(
            " | ", e.EventId, $"`{e.EventName}`", e.Level, string.Join(", ", hasException ? fields.Append("exception") : fields));
    }

    /// <summary>The rows between two comments.</summary>
    public static IEnumerable<string> Rows(string table) => File.ReadLines(Path.Combine(Repository(), "docs", "logs.md"))
        .SkipWhile(line => line != $"<!-- {table} -->")
        .TakeWhile(line => line != $"<!-- /{table} -->")
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
