namespace PooledTcp;

/// <summary>How an endpoint's failing dials are held back. Changes apply at once.</summary>
public sealed class TcpHealthOptions
{
    /// <summary>
    /// After so many failed dials in a row an address is left alone (its breaker is open) and tried again by one dial at a
    /// time. When that is true of every address of the endpoint, a rent that would need a dial fails at once. Idle connections
    /// are lent all the same. Failures of this host (no local port, no descriptor, no buffer, no permission) do not count.
    /// </summary>
    /// <value>1 to 1,000,000. Default: 5, as in Envoy's outlier detection.</value>
    public int FailuresToOpen { get; set; } = 5;

    /// <summary>
    /// The longest pause before a failing address is dialed again. Pauses begin at 100 ms, double with each failed dial, and
    /// are shortened at random by up to a half, so that many clients do not come back together.
    /// </summary>
    /// <value>100 ms to 1 h. Default: 5 s: a server that is back is used again within 5 s.</value>
    public TimeSpan MaxBackoff { get; set; } = TimeSpan.FromSeconds(5);

    internal TcpHealthOptions Clone() => new()
    {
        FailuresToOpen = FailuresToOpen,
        MaxBackoff = MaxBackoff,
    };
}
