namespace PooledTcp.Configuration;

/// <summary>Checks how connections are to be closed.</summary>
internal static class ShutdownSettingsFactory
{
    private const string Prefix = nameof(TcpEndpointOptions.Shutdown) + ":";

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
            faults.Add(Prefix + nameof(TcpShutdownOptions.Goodbye), $"\"{RawBytes.Shown(text)}\" {RawBytes.Escaped(error)}{(error.EndsWith('?') ? "" : ".")}");
        }

        return farewell;
    }
}
