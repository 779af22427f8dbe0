namespace PooledTcp.Configuration;

/// <summary>Checks how an endpoint's health is looked after.</summary>
internal static class HealthSettingsFactory
{
    private const string Prefix = nameof(TcpEndpointOptions.Health) + ":";

    // The first pause of a failing address (Breaker.FirstBackoff): a lower cap would be none.
    private static readonly TimeSpan ShortestBackoff = TimeSpan.FromMilliseconds(100);

    private static readonly TimeSpan Hour = TimeSpan.FromHours(1);

    public static HealthSettings Create(TcpHealthOptions options, SettingFaults faults)
    {
        faults.Range(Prefix + nameof(options.FailuresToOpen), options.FailuresToOpen, 1, EndpointSettingsFactory.MaxCount);
        faults.Range(Prefix + nameof(options.MaxBackoff), options.MaxBackoff, ShortestBackoff, Hour);
        return new HealthSettings
        {
            FailuresToOpen = options.FailuresToOpen,
            MaxBackoff = options.MaxBackoff,
        };
    }
}
