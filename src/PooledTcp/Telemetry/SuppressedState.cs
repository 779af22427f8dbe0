using System.Collections;
using System.Globalization;

namespace PooledTcp.Telemetry;

/// <summary>
/// The fields of an event, and how many of its kind were left out before it. The template stays the event's own, in the
/// last place, where sinks look for it: they group by it.
/// </summary>
/// <remarks>
/// Not generic in the event's own state: a logger that passes a state of its own made of any state on to another such logger
/// is a recursion of types without end, at which native compilation fails.
/// </remarks>
/// <param name="fields">The event's own; null if it has none.</param>
/// <param name="text">Its line.</param>
/// <param name="suppressed">How many were left out.</param>
internal sealed class SuppressedState(IReadOnlyList<KeyValuePair<string, object?>>? fields, string text, long suppressed)
    : IReadOnlyList<KeyValuePair<string, object?>>
{
    /// <summary>The name of the field.</summary>
    public const string Field = "Suppressed";

    private readonly IReadOnlyList<KeyValuePair<string, object?>> _fields = fields ?? [];

    public int Count => _fields.Count + 1;

    public KeyValuePair<string, object?> this[int index]
    {
        get
        {
            int own = Math.Max(_fields.Count - 1, 0);
            return index == own ? new KeyValuePair<string, object?>(Field, suppressed) : _fields[index > own ? index - 1 : index];
        }
    }

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{text} ({suppressed} more since the last such line)");

    public IEnumerator<KeyValuePair<string, object?>> GetEnumerator()
    {
        for (int i = 0; i < Count; i++)
        {
            yield return this[i];
        }
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}
