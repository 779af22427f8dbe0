using System.Globalization;
using System.Text;

namespace PooledTcp.Configuration;

/// <summary>Checks how connections are to be closed.</summary>
internal static class ShutdownSettingsFactory
{
    private const string Prefix = nameof(TcpEndpointOptions.Shutdown) + ":";

    private const int MaxShown = 100;

    private static readonly TimeSpan Millisecond = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan Hour = TimeSpan.FromHours(1);
    private static readonly TimeSpan Day = TimeSpan.FromDays(1);

    public static ShutdownSettings Create(TcpShutdownOptions options, SettingFaults faults)
    {
        if (!Enum.IsDefined(options.ClosesFirst))
        {
            faults.Add(Prefix + nameof(options.ClosesFirst), $"{options.ClosesFirst} is not one of Auto, Server, Client.");
        }

        faults.Range(Prefix + nameof(options.GoodbyeTimeout), options.GoodbyeTimeout, Millisecond, Hour);
        faults.Range(Prefix + nameof(options.ServerCloseTimeout), options.ServerCloseTimeout, Millisecond, Day);
        faults.Range(Prefix + nameof(options.DrainTimeout), options.DrainTimeout, Millisecond, Hour);
        return new ShutdownSettings
        {
            ClosesFirst = options.ClosesFirst,
            Goodbye = ReadGoodbye(options.Goodbye, faults),
            GoodbyeTimeout = options.GoodbyeTimeout,
            ServerCloseTimeout = options.ServerCloseTimeout,
            DrainTimeout = options.DrainTimeout,
            AllowQuietClose = options.AllowQuietClose,
            AllowAbort = options.AllowAbort,
        };
    }

    private static GoodbyeBytes ReadGoodbye(string? text, SettingFaults faults)
    {
        if (text is null)
        {
            return default;
        }

        if (!GoodbyeParser.TryParse(text, out var farewell, out var error))
        {
            faults.Add(Prefix + nameof(TcpShutdownOptions.Goodbye), $"\"{Shown(text)}\" {Escaped(error)}{(error.EndsWith('?') ? "" : ".")}");
        }

        return farewell;
    }

    // What is not raw: was meant as a name, and may be a connection string with its password. A raw: one is as long as
    // somebody pasted it; what is wrong with it is told by position.
    private static string Shown(string text)
    {
        var shown = text.StartsWith("raw:", StringComparison.OrdinalIgnoreCase) ? text : EndpointAddressParser.Shown(text);
        return shown.Length <= MaxShown ? Escaped(shown) : Escaped(shown[..MaxShown]) + "...";
    }

    // A JSON "raw:QUIT\r\n" has real line ends, which would tear the message apart, as others would a terminal.
    private static string Escaped(string text)
    {
        if (!text.Any(char.IsControl))
        {
            return text;
        }

        var escaped = new StringBuilder(text.Length);
        foreach (var c in text)
        {
            _ = c switch
            {
                '\r' => escaped.Append(@"\r"),
                '\n' => escaped.Append(@"\n"),
                '\t' => escaped.Append(@"\t"),
                _ when char.IsControl(c) => escaped.Append(CultureInfo.InvariantCulture, $"\\x{(int)c:X2}"),
                _ => escaped.Append(c),
            };
        }

        return escaped.ToString();
    }
}
