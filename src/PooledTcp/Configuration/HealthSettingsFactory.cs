namespace PooledTcp.Configuration;

/// <summary>Checks how an endpoint's health is looked after.</summary>
internal static class HealthSettingsFactory
{
    private const string Prefix = nameof(TcpEndpointOptions.Health) + ":";

    // The first pause of a failing address (Breaker.FirstBackoff): a lower cap would be none.
    private static readonly TimeSpan ShortestBackoff = TimeSpan.FromMilliseconds(100);

    // The sweep marks connections for the check, and runs this often at most.
    private static readonly TimeSpan ShortestVerify = TimeSpan.FromMilliseconds(100);

    private static readonly TimeSpan Millisecond = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan Hour = TimeSpan.FromHours(1);
    private static readonly TimeSpan Day = TimeSpan.FromDays(1);

    public static HealthSettings Create(TcpHealthOptions options, SettingFaults faults)
    {
        faults.Range(Prefix + nameof(options.FailuresToOpen), options.FailuresToOpen, 1, EndpointSettingsFactory.MaxCount);
        faults.Range(Prefix + nameof(options.MaxBackoff), options.MaxBackoff, ShortestBackoff, Hour);
        if (options.VerifyAfter is { } verifyAfter)
        {
            faults.Range(Prefix + nameof(options.VerifyAfter), verifyAfter, ShortestVerify, Day, "Leave it out (null) for the keepalive total.", infinite: true);
        }

        faults.Range(Prefix + nameof(options.ProbeInterval), options.ProbeInterval, Second, Day);
        faults.Range(Prefix + nameof(options.ProbeTimeout), options.ProbeTimeout, Millisecond, Hour);

        faults.Range(Prefix + nameof(options.LeaseWarningAfter), options.LeaseWarningAfter, Second, Day, infinite: true);
        return new HealthSettings
        {
            FailuresToOpen = options.FailuresToOpen,
            MaxBackoff = options.MaxBackoff,
            VerifyAfter = options.VerifyAfter,
            Probe = ReadProbe(options, faults),
            ProbeInterval = options.ProbeInterval,
            ProbeTimeout = options.ProbeTimeout,

            LeaseWarningAfter = options.LeaseWarningAfter,
            CaptureLeaseStacks = options.CaptureLeaseStacks,
        };
    }

    private static ProbeScript? ReadProbe(TcpHealthOptions options, SettingFaults faults)
    {
        if (options.Probe is not { } text || !RawBytes.IsRaw(text))
        {
            if (options.ProbeReply is { } unused)
            {
                faults.Add(Prefix + nameof(options.ProbeReply), $"\"{RawBytes.Shown(unused)}\" is set without a raw: probe, whose answer it would be.");
            }

            return options.Probe is null ? null : FindProbe(options.Probe, faults);
        }

        GoodbyeBytes? question = ReadRaw(nameof(options.Probe), text, "a probe", faults);
        if (options.ProbeReply is not { } reply)
        {
            faults.Add(Prefix + nameof(options.ProbeReply), "is required with a raw: probe: write raw: and the bytes of the answer.");
            return null;
        }

        GoodbyeBytes? answer = ReadRaw(nameof(options.ProbeReply), reply, "an answer", faults);
        return question is { } asked && answer is { } expected ? new ProbeScript(asked, expected, default) : null;
    }

    private static ProbeScript? FindProbe(string name, SettingFaults faults)
    {
        ProbeScript? found = ProbeScript.Find(name);
        if (found is null)
        {
            faults.Add(
                Prefix + nameof(TcpHealthOptions.Probe),
                Spelling.Nearest(name, ProbeScript.Names) is { } nearest
                    ? $"\"{RawBytes.Shown(name)}\" is not a known probe. Did you mean {nearest}?"
                    : $"\"{RawBytes.Shown(name)}\" is not a known probe. Known are {string.Join(", ", ProbeScript.Names)}; "
                        + @"write your own as raw: and its bytes, as in raw:PING\r\n.");
        }

        return found;
    }

    private static GoodbyeBytes? ReadRaw(string setting, string text, string what, SettingFaults faults)
    {
        string? error = "does not begin with raw:";
        if (RawBytes.IsRaw(text) && RawBytes.TryParse(text, what, out var bytes, out error))
        {
            return bytes;
        }

        faults.Add(Prefix + setting, $"\"{RawBytes.Shown(text)}\" {RawBytes.Escaped(error)}.");
        return null;
    }
}
