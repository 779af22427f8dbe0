using System.Globalization;
using System.Text.Json;

namespace PooledTcp.Soak;

/// <summary>The figures of one run, as they are written to the file.</summary>
/// <param name="Requests">Calls made, each of which is one of the next three, or a complaint.</param>
/// <param name="Ok">Answered with the caller's own id.</param>
/// <param name="FailedTyped">Ended in an error the library promises, in the caller's own impatience, or in bytes that its parser refused.</param>
/// <param name="WrongReplies">Accepted as good, and another caller's.</param>
/// <param name="LeakedSockets">Open when the pools are gone.</param>
/// <param name="MemoryStart">Bytes in the heap after a collection, with nothing under way, after the warm-up.</param>
/// <param name="MemoryEnd">And at the end.</param>
internal sealed record SoakFigures(long Requests, long Ok, long FailedTyped, long WrongReplies, long LeakedSockets, long MemoryStart, long MemoryEnd)
{
    private static readonly JsonSerializerOptions Indented = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    public async Task WriteAsync(FileInfo file, CancellationToken cancellationToken)
    {
        file.Directory?.Create();
        await using FileStream stream = file.Create();
        await JsonSerializer.SerializeAsync(stream, this, Indented, cancellationToken);
    }

    public override string ToString() => JsonSerializer.Serialize(this, Indented);
}

/// <summary>What the console is told beside them.</summary>
internal sealed record SoakReport
{
    public required SoakFigures Figures { get; init; }

    public required TimeSpan Took { get; init; }

    public required string Server { get; init; }

    public required int Seed { get; init; }

    public required int ServerRestarts { get; init; }

    public required long ConnectionsOpened { get; init; }

    /// <summary>Exchanges that <c>ExecuteAsync</c> sent a second time.</summary>
    public required long Retries { get; init; }

    /// <summary>Why the run failed; empty when it did not.</summary>
    public required IReadOnlyList<string> Complaints { get; init; }

    public override string ToString() => string.Join(
        Environment.NewLine,
        [
            Figures.ToString(),
            string.Create(
                CultureInfo.InvariantCulture,
                $"{Took.TotalSeconds:F1} s against {Server}, killed and started again {ServerRestarts} times; {ConnectionsOpened} connections opened, {Retries} exchanges retried; seed {Seed}"),
            .. Complaints.Select(static complaint => $"FAILED: {complaint}"),
        ]);
}
