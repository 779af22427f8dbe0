namespace PooledTcp.KernelTests.RealServers;

/// <summary>
/// The rows of one server in docs/closing-real-servers.md. Only those, so that a machine that lacks a server still checks
/// the others; the text around the table is written by hand.
/// </summary>
internal static class ClosingTable
{
    private const string Name = "docs/closing-real-servers.md";

    /// <summary>Writes what was measured where the file says something else. What to do about it, or null when it was right.</summary>
    public static async Task<string?> UpdateAsync(string server, IEnumerable<ClosingRow> measured, CancellationToken cancellationToken)
    {
        string path = Path.Combine(FindRepository(), Name);
        string head = $"| {server} | ";
        string[] rows = [.. measured.Select(row => $"{head}{row} |")];
        List<string> lines = [.. await File.ReadAllLinesAsync(path, cancellationToken)];
        if (lines.Where(line => line.StartsWith(head, StringComparison.Ordinal)).SequenceEqual(rows))
        {
            return null;
        }

        // A server that is not in the table yet goes below the last one.
        int at = lines.FindIndex(line => line.StartsWith(head, StringComparison.Ordinal));
        at = at >= 0 ? at : lines.FindLastIndex(static line => line.StartsWith("| ", StringComparison.Ordinal) || line.StartsWith("|-", StringComparison.Ordinal)) + 1;
        lines.RemoveAll(line => line.StartsWith(head, StringComparison.Ordinal));
        lines.InsertRange(at, rows);
        await File.WriteAllTextAsync(path, string.Join('\n', lines) + "\n", cancellationToken);
        return $"{Name} says something else about {server} than was measured just now. It has been rewritten: look at the difference and commit it.";
    }

    private static string FindRepository()
    {
        string? folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "PooledTcp.sln")))
        {
            folder = Path.GetDirectoryName(folder) ?? throw new DirectoryNotFoundException("PooledTcp.sln is in no folder above the tests.");
        }

        return folder;
    }
}
