using System.Globalization;
using System.Text;
using System.Text.Json;

namespace PooledTcp.AspNetCore.Stats;

/// <summary>What stands at the marked places of the table's markup: <c>n:path</c>, a list's path, or the place of a bar's part.</summary>
internal static class PoolValues
{
    public static string Of(string mark, JsonElement data)
    {
        if (mark.Length < 2 || mark[1] != ':')
        {
            return List(mark, data);
        }

        string path = mark[2..];
        return mark[0] switch
        {
            'x' => Number(IsLevel(path) ? 0 : Start(data, path)),
            'w' => Number(IsLevel(path) ? 100 * Math.Min(1, Double(At(data, "port.pressure")) ?? 0) : Width(data, path)),
            't' => StatsPage.Encode(At(data, path) is { ValueKind: JsonValueKind.String } text ? text.GetString()! : Format.None),
            'c' => StatsPage.Encode(At(data, path) is { ValueKind: JsonValueKind.String } code ? Words(code.GetString()!) : Format.None),
            'l' => StatsPage.Encode(At(data, path) is { ValueKind: JsonValueKind.Array } all
                ? string.Join(", ", all.EnumerateArray().Select(static one => Words(one.GetString()!)))
                : Format.None),
            'r' => StatsPage.Encode(Format.Rate(Double(At(data, path)))),
            's' => StatsPage.Encode(Format.Seconds(Double(At(data, path)))),
            'p' => StatsPage.Encode(Format.Share(Double(At(data, path)))),
            _ => StatsPage.Encode(Format.Whole(Double(At(data, path)))),
        };
    }

    private static JsonElement? At(JsonElement data, string path)
    {
        foreach (string name in path.Split('.'))
        {
            if (data.ValueKind != JsonValueKind.Object || !data.TryGetProperty(name, out data))
            {
                return null;
            }
        }

        return data;
    }

    private static double? Double(JsonElement? value) => value is { ValueKind: JsonValueKind.Number } number ? number.GetDouble() : null;

    private static string List(string path, JsonElement data)
    {
        List<string[]> rows = At(data, path) switch
        {
            { ValueKind: JsonValueKind.Array } addresses =>
            [
                .. addresses.EnumerateArray().Select(static address => new[]
                {
                    address.GetProperty("endpoint").GetString()!,
                    Format.Whole(address.GetProperty("connections").GetDouble()),
                    Words(address.GetProperty("breaker").GetString()!),
                    Format.Whole(address.GetProperty("consecutive_failures").GetDouble()),
                }),
            ],
            { ValueKind: JsonValueKind.Object } counts =>
            [
                .. counts.EnumerateObject().OrderByDescending(static count => count.Value.GetInt64())
                    .Select(static count => new[] { Words(count.Name), Format.Whole(count.Value.GetInt64()) }),
            ],
            _ => [],
        };
        if (rows.Count == 0)
        {
            rows.Add([Format.None]);
        }

        var text = new StringBuilder();
        foreach (string[] row in rows)
        {
            text.Append("<tr><th scope=\"row\">").Append(StatsPage.Encode(row[0])).Append("</th>");
            foreach (string cell in row.AsSpan(1))
            {
                text.Append("<td>").Append(StatsPage.Encode(cell)).Append("</td>");
            }

            text.Append("</tr>");
        }

        return text.ToString();
    }

    private static bool IsLevel(string part) => string.Equals(part, "level", StringComparison.Ordinal);

    // The parts of the bar in the order of Bar's arguments.
    private static double Start(JsonElement data, string part)
    {
        double x = 0;
        foreach (string before in new[] { "used", "connecting", "closing", "idle" })
        {
            if (string.Equals(before, part, StringComparison.Ordinal))
            {
                break;
            }

            x += Width(data, before);
        }

        return x;
    }

    private static double Width(JsonElement data, string part)
    {
        double count = Double(At(data, "connection.count")) ?? 0;
        double most = Math.Max(Math.Max(Double(At(data, "connection.max")) ?? count, count), 1);
        return 100 * (Double(At(data, $"connection.{part}")) ?? 0) / most;
    }

    private static string Number(double value) => value.ToString("0.###", CultureInfo.InvariantCulture);

    private static string Words(string code) => code.Replace('_', ' ');
}
