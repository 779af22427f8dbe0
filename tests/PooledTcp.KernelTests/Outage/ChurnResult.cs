namespace PooledTcp.KernelTests.Outage;

/// <summary>What came of a churn.</summary>
public sealed record ChurnResult
{
    public required int Offered { get; init; }

    public required int Succeeded { get; init; }

    /// <summary>How many of each type.</summary>
    public required Dictionary<string, int> Failures { get; init; }

    /// <summary>The text of one of each type.</summary>
    public required List<string> Texts { get; init; }

    public required TimeSpan Took { get; init; }

    /// <summary>How late the machine was at most: of <see cref="PacedLoad"/>'s own timer.</summary>
    public required TimeSpan Lag { get; init; }

    /// <summary>Of the whole process, the server's half included.</summary>
    public required TimeSpan Cpu { get; init; }

    /// <summary>The longest a caller was kept.</summary>
    public required TimeSpan Latest { get; init; }

    public required double P99Microseconds { get; init; }

    /// <summary>How often the kernel was asked.</summary>
    public required int Looks { get; init; }

    /// <summary>The most that were seen at once, by the kernel.</summary>
    public required int MaxClientTimeWaits { get; init; }

    public required int ClientTimeWaits { get; init; }

    public required int ServerTimeWaits { get; init; }

    /// <summary>By the ledger, at the end.</summary>
    public required int Owed { get; init; }

    /// <summary>Looks at which the ledger knew of fewer than the kernel had.</summary>
    public required int UnderCounts { get; init; }

    public required long Created { get; init; }

    public required long DialsFailed { get; init; }

    public required Dictionary<string, long> ClosedByMethod { get; init; }

    public required long ClosedByPeer { get; init; }

    /// <summary>Sockets that were not there before, once the client is disposed.</summary>
    public required int LeftOpen { get; init; }

    /// <summary>Empty, or somebody wrote one.</summary>
    public required List<string> SysctlChanges { get; init; }

    public override string ToString() => FormattableString.Invariant(
        $"""
        offered {Offered}, ok {Succeeded}, failed [{string.Join(", ", Failures)}] in {Took.TotalSeconds:F1} s, {Cpu.TotalSeconds:F1} s of CPU; kept at most {Latest.TotalSeconds:F2} s (lag {Lag.TotalSeconds:F2} s), p99 {P99Microseconds:F0} us
        client TIME_WAIT at most {MaxClientTimeWaits} in {Looks} looks, {ClientTimeWaits} at the end ({Owed} owed, {UnderCounts} under-counts); server TIME_WAIT {ServerTimeWaits}
        created {Created}, dials failed {DialsFailed}, closed [{string.Join(", ", ClosedByMethod)}], by peer {ClosedByPeer}; left open {LeftOpen}
        {string.Join(Environment.NewLine, Texts)}
        """);
}
