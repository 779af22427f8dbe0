using System.Globalization;
using Microsoft.AspNetCore.Http;

namespace PooledTcp.AspNetCore.Stats;

/// <summary>Which pools are listed. Totals are always over all of them.</summary>
/// <param name="Limit">How many at most.</param>
/// <param name="Offset">How many are left out from the start.</param>
/// <param name="Pool">A part of the name or address; empty for every pool.</param>
internal readonly record struct StatsQuery(int Limit, int Offset, string Pool)
{
    /// <summary>What a person can look over and a phone can lay out; ad hoc pools can be ten thousand.</summary>
    public const int DefaultLimit = 200;

    /// <summary>On the page: a row is some 7 kB of markup.</summary>
    public const int MaxRows = 500;

    /// <summary>In the JSON: some 20 MB.</summary>
    public const int MaxLimit = 10_000;

    public static bool TryRead(IQueryCollection values, int maxLimit, out StatsQuery query, out string fault)
    {
        query = default;
        fault = "";
        if (!TryWhole(values, "limit", 1, maxLimit, DefaultLimit, ref fault, out int limit)
            || !TryWhole(values, "offset", 0, int.MaxValue, 0, ref fault, out int offset))
        {
            return false;
        }

        query = new StatsQuery(limit, offset, values["pool"].ToString());
        return true;
    }

    public bool Matches(PoolFigures pool) =>
        Pool.Length == 0
        || pool.Name.Contains(Pool, StringComparison.OrdinalIgnoreCase)
        || pool.Address.Contains(Pool, StringComparison.OrdinalIgnoreCase);

    private static bool TryWhole(IQueryCollection values, string name, int lowest, int highest, int otherwise, ref string fault, out int value)
    {
        value = otherwise;
        string given = values[name].ToString();
        if (given.Length == 0
            || (int.TryParse(given, NumberStyles.None, CultureInfo.InvariantCulture, out value) && value >= lowest && value <= highest))
        {
            return true;
        }

        fault = $"{name} is a whole number from {lowest} to {highest}, not '{given}'.";
        return false;
    }
}
