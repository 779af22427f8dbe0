using System.Globalization;

namespace PooledTcp.Configuration;

/// <summary>What is wrong with one endpoint (or the defaults): setting, and a sentence that begins with its value.</summary>
internal sealed class SettingFaults
{
    private readonly List<(string Setting, string Text)> _faults = [];
    private readonly SettingFaults? _inherited;

    /// <param name="inherited">Faults of the defaults, which are not repeated for every endpoint that copied them.</param>
    public SettingFaults(SettingFaults? inherited = null) => _inherited = inherited;

    /// <summary>How many faults were found, those that are not repeated included.</summary>
    public int Found { get; private set; }

    public void Add(string setting, string text)
    {
        Found++;
        if (_inherited?._faults.Contains((setting, text)) != true)
        {
            _faults.Add((setting, text));
        }
    }

    public void Range(string setting, int value, int min, int max, string? hint = null)
    {
        if (value < min || value > max)
        {
            Add(setting, string.Create(CultureInfo.InvariantCulture, $"{value} is not in the range {min:N0} to {max:N0}.{Hint(hint)}"));
        }
    }

    public void Range(string setting, TimeSpan value, TimeSpan min, TimeSpan max, string? hint = null, bool infinite = false)
    {
        if (infinite && value == Timeout.InfiniteTimeSpan)
        {
            return;
        }

        if (value < min || value > max)
        {
            Add(setting, $"{Show(value)} is not in the range {Show(min)} to {Show(max)}{(infinite ? ", or Infinite" : "")}.{Hint(hint)}");
        }
    }

    public IEnumerable<string> Lines(string path) => _faults.Select(fault => $"{path}:{fault.Setting}: {fault.Text}");

    /// <summary>As configuration spells it, without the zeros that <c>c</c> puts behind a fraction.</summary>
    public static string Show(TimeSpan value)
    {
        if (value == Timeout.InfiniteTimeSpan)
        {
            return "Infinite";
        }

        var text = value.ToString("c", CultureInfo.InvariantCulture);
        return value.Ticks % TimeSpan.TicksPerSecond == 0 ? text : text.TrimEnd('0');
    }

    private static string Hint(string? hint) => hint is null ? "" : " " + hint;
}
