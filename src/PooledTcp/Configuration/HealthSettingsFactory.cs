namespace PooledTcp.Configuration;

/// <summary>Checks how an endpoint's health is looked after.</summary>
internal static class HealthSettingsFactory
{
    private const string Prefix = nameof(TcpEndpointOptions.Health) + ":";

    // The clock that a warm rent looks at is exact to a second.
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Day = TimeSpan.FromDays(1);

    public static HealthSettings Create(TcpHealthOptions options, SettingFaults faults)
    {
        faults.Range(Prefix + nameof(options.LeaseWarningAfter), options.LeaseWarningAfter, Second, Day, infinite: true);
        return new HealthSettings
        {
            LeaseWarningAfter = options.LeaseWarningAfter,
            CaptureLeaseStacks = options.CaptureLeaseStacks,
        };
    }
}
