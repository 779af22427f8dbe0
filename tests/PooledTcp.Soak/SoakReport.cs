using System.Text.Json;

namespace PooledTcp.Soak;

/// <summary>The figures of one run.</summary>
internal sealed record SoakReport
{
    private static readonly JsonSerializerOptions Indented = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    public required long Requests { get; init; }

    /// <summary>Answered with the caller's own id.</summary>
    public required long Ok { get; init; }

    /// <summary>Ended in an error the library promises, in the caller's own impatience, or in bytes that its parser refused.</summary>
    public required long FailedTyped { get; init; }

    public required long FailedUntyped { get; init; }

    /// <summary>Accepted as good, and another caller's.</summary>
    public required long WrongReplies { get; init; }

    public required long LeakedSockets { get; init; }

    /// <summary>Bytes in the heap after a collection, with nothing under way: after the warm-up, and at the end.</summary>
    public required long MemoryStart { get; init; }

    public required long MemoryEnd { get; init; }

    public required double Seconds { get; init; }

    public required string Server { get; init; }

    public required int Seed { get; init; }

    public required int ServerRestarts { get; init; }

    public required long ConnectionsOpened { get; init; }

    /// <summary>Why the run failed; empty when it did not.</summary>
    public required IReadOnlyList<string> Complaints { get; init; }

    public async Task WriteAsync(FileInfo file, CancellationToken cancellationToken)
    {
        file.Directory?.Create();
        await using FileStream stream = file.Create();
        await JsonSerializer.SerializeAsync(stream, this, Indented, cancellationToken);
    }

    public override string ToString() => JsonSerializer.Serialize(this, Indented);
}
