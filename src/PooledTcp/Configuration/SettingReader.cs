using System.Globalization;
using System.Security.Authentication;
using Microsoft.Extensions.Configuration;

namespace PooledTcp.Configuration;

/// <summary>
/// Reads one setting through the source-generated configuration binder. A value that is no value of its type becomes a
/// fault with its full path, and the setting stays what it was.
/// </summary>
internal readonly struct SettingReader(IConfigurationSection section, List<string> faults, HashSet<string> keys)
{
    public IConfigurationSection Section => section;

    public List<string> Faults => faults;

    /// <summary>Where the paths of the settings that are bound are collected.</summary>
    public HashSet<string> Keys => keys;

    /// <summary>Children of a section; a value in its place is a fault.</summary>
    public static IEnumerable<IConfigurationSection> ChildrenOf(
        IConfigurationSection section, IReadOnlyCollection<string> expected, List<string> faults)
    {
        // An empty object or list is bound by the JSON provider as null or as an empty text.
        if (!string.IsNullOrEmpty(section.Value))
        {
            // Not quoted: nothing tells what was meant here, and it may be a connection string with its password.
            faults.Add($"{section.Path}: is a value; a section is expected, with {string.Join(", ", expected)}.");
        }

        return section.GetChildren();
    }

    public static string Unknown(IConfigurationSection section, IReadOnlyCollection<string> known) =>
        Spelling.Nearest(section.Key, known) is { } nearest
            ? $"{section.Path}: is not a setting. Did you mean {nearest}?"
            : $"{section.Path}: is not a setting. Known here: {string.Join(", ", known)}.";

    /// <summary>Null and empty both mean: not set.</summary>
    public string? Text() => IsValue() && !string.IsNullOrEmpty(section.Value) ? section.Value : null;

    public int Whole(int current) => Read(current, "a whole number", static s => s.Get<int>());

    public int? WholeOrNull(int? current) =>
        IsValue() && string.IsNullOrEmpty(section.Value) ? null : Read(current, "a whole number", static s => s.Get<int?>());

    public double Fraction(double current) => Read(current, "a number (0.1 is 10 %)", static s => s.Get<double>());

    public bool Switch(bool current) => Read(current, "true or false", static s => s.Get<bool>());

    /// <summary>
    /// One of the names. Not Enum.Parse, nor the binder, which is built on it: they take <c>7</c>, and <c>Auto, Client</c>, which
    /// is the number of <c>Client</c>.
    /// </summary>
    public TEnum OneOf<TEnum>(TEnum current)
        where TEnum : struct, Enum =>
        Read(
            current,
            "one of " + string.Join(", ", Enum.GetNames<TEnum>()),
            static s => Array.FindIndex(Enum.GetNames<TEnum>(), name => string.Equals(name, s.Value, StringComparison.OrdinalIgnoreCase)) is var i and >= 0
                ? Enum.GetValues<TEnum>()[i]
                : throw new InvalidOperationException());

    public SslProtocols Protocols(SslProtocols current) =>
        Read(current, "one of None, Tls12, Tls13 or \"Tls12, Tls13\"", static s => s.Get<SslProtocols>());

    public TimeSpan TimeOrInfinite(TimeSpan current) =>
        string.Equals(section.Value, "Infinite", StringComparison.OrdinalIgnoreCase) ? Timeout.InfiniteTimeSpan : Time(current);

    public TimeSpan Time(TimeSpan current)
    {
        var time = Read(current, "a time (hh:mm:ss)", static s => s.Get<TimeSpan>());

        // TimeSpan.Parse takes "90" for 90 days and "24:00:00" for 24 days. A day that was meant is written d.hh:mm:ss.
        if (section.Value is { } text && time != current && time.Duration() >= TimeSpan.FromDays(1) && !NamesDays(text))
        {
            var days = FormattableString.Invariant($"{time:%d}.{time:hh\\:mm\\:ss}");
            faults.Add(
                $"{section.Path}: \"{text}\" means {time.Days.ToString(CultureInfo.InvariantCulture)} days; "
                + $"write 00:01:30 for 90 seconds (hh:mm:ss), or {days} if days are meant.");
            return current;
        }

        return time;
    }

    /// <summary>Replaces the list: the binder's own way is to append to what was inherited.</summary>
    public void List(IList<string> list)
    {
        if (!string.IsNullOrEmpty(section.Value))
        {
            faults.Add($"{section.Path}: \"{section.Value}\" is a value; a list is expected, as in {section.Path}:0.");
            return;
        }

        list.Clear();
        foreach (var item in section.GetChildren())
        {
            list.Add(new SettingReader(item, faults, keys).Text() ?? "");
        }
    }

    private static bool NamesDays(string text)
    {
        var dot = text.IndexOf('.', StringComparison.Ordinal);
        var colon = text.IndexOf(':', StringComparison.Ordinal);
        return dot >= 0 && colon > dot;
    }

    private T Read<T>(T current, string expected, Func<IConfigurationSection, T> get)
    {
        if (!IsValue())
        {
            return current;
        }

        if (string.IsNullOrWhiteSpace(section.Value))
        {
            faults.Add($"{section.Path}: is empty; {expected} is expected.");
            return current;
        }

        try
        {
            return get(section);
        }
        catch (InvalidOperationException)
        {
            faults.Add($"{section.Path}: \"{section.Value}\" is not {expected}.");
            return current;
        }
    }

    private bool IsValue()
    {
        if (!section.GetChildren().Any())
        {
            return true;
        }

        faults.Add($"{section.Path}: is a section or a list; one value is expected.");
        return false;
    }
}
