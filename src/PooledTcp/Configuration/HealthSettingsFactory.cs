namespace PooledTcp.Configuration;

/// <summary>Checks how an endpoint's health is looked after.</summary>
internal static class HealthSettingsFactory
{
    private const string Prefix = nameof(TcpEndpointOptions.Health) + ":";

    // The first pause of a failing address (Breaker.FirstBackoff): a lower cap would be none.
    private static readonly TimeSpan ShortestBackoff = TimeSpan.FromMilliseconds(100);

    // The clock that a warm rent looks at is exact to a second.
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan Hour = TimeSpan.FromHours(1);
    private static readonly TimeSpan Day = TimeSpan.FromDays(1);

    public static HealthSettings Create(TcpHealthOptions options, SettingFaults faults)
    {
        faults.Range(Prefix + nameof(options.FailuresToOpen), options.FailuresToOpen, 1, EndpointSettingsFactory.MaxCount);
        faults.Range(Prefix + nameof(options.MaxBackoff), options.MaxBackoff, ShortestBackoff, Hour);
        faults.Range(Prefix + nameof(options.LeaseWarningAfter), options.LeaseWarningAfter, Second, Day, infinite: true);
        return new HealthSettings
        {
            FailuresToOpen = options.FailuresToOpen,
            MaxBackoff = options.MaxBackoff,
            LeaseWarningAfter = options.LeaseWarningAfter,
            CaptureLeaseStacks = options.CaptureLeaseStacks,
        };
    }
}
