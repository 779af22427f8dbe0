using System.Collections;
using System.Globalization;

namespace PooledTcp.Telemetry;

/// <summary>
/// The fields of an event, and how many of its kind were left out before it. The template stays the event's own, in the
/// last place, where sinks look for it: they group by it.
/// </summary>
internal sealed class SuppressedState<TState>(TState state, Func<TState, Exception?, string> formatter, long suppressed)
    : IReadOnlyList<KeyValuePair<string, object?>>
{
    /// <summary>The name of the field.</summary>
    public const string Field = "Suppressed";

    private readonly IReadOnlyList<KeyValuePair<string, object?>> _fields = state as IReadOnlyList<KeyValuePair<string, object?>> ?? [];

    public int Count => _fields.Count + 1;

    public KeyValuePair<string, object?> this[int index]
    {
        get
        {
            int own = Math.Max(_fields.Count - 1, 0);
            return index == own ? new KeyValuePair<string, object?>(Field, suppressed) : _fields[index > own ? index - 1 : index];
        }
    }

    public string Format(Exception? exception) => string.Create(
        CultureInfo.InvariantCulture, $"{formatter(state, exception)} ({suppressed} more since the last such line)");

    public override string ToString() => Format(exception: null);

    public IEnumerator<KeyValuePair<string, object?>> GetEnumerator()
    {
        for (int i = 0; i < Count; i++)
        {
            yield return this[i];
        }
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}
