namespace PooledTcp.Configuration;

/// <summary>Finds the name that a misspelt one was meant to be.</summary>
internal static class Spelling
{
    /// <summary>The nearest name by edits (Levenshtein), or null if none is near: at most a third of its letters differ.</summary>
    public static string? Nearest(string name, IEnumerable<string> known)
    {
        var (best, nearest) = (int.MaxValue, (string?)null);
        foreach (var candidate in known)
        {
            var distance = Distance(name.ToUpperInvariant(), candidate.ToUpperInvariant());
            if (distance < best && distance <= candidate.Length / 3)
            {
                (best, nearest) = (distance, candidate);
            }
        }

        return nearest;
    }

    private static int Distance(string a, string b)
    {
        var row = new int[b.Length + 1];
        for (var j = 0; j <= b.Length; j++)
        {
            row[j] = j;
        }

        for (var i = 1; i <= a.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= b.Length; j++)
            {
                var replace = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.Min(replace, Math.Min(row[j], row[j - 1]) + 1);
            }
        }

        return row[b.Length];
    }
}
