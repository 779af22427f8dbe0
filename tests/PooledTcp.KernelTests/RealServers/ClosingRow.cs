namespace PooledTcp.KernelTests.RealServers;

/// <summary>One way to close, ten connections closed by it, and what came of them.</summary>
public sealed record ClosingRow
{
    public const int Connections = 10;

    public required ClosesFirst ClosesFirst { get; init; }

    /// <summary>The endpoint has a farewell.</summary>
    public required bool HasGoodbye { get; init; }

    /// <summary>How the server ends idle connections; none when it was not told to.</summary>
    public required IdleClose IdleClose { get; init; }

    /// <summary>How many TIME_WAITs fit into the client's share.</summary>
    public required int Share { get; init; }

    /// <summary>From the snapshot; filled in by the measurement, as all that follows.</summary>
    public IReadOnlyDictionary<string, long> ByMethod { get; init; } = new Dictionary<string, long>();

    public long ClosedByPeer { get; init; }

    public int ClientTimeWait { get; init; }

    public int ServerTimeWait { get; init; }

    /// <summary>Every way that makes a difference with this server.</summary>
    public static IEnumerable<ClosingRow> Of(RealServer server)
    {
        var plain = new ClosingRow { ClosesFirst = ClosesFirst.Server, HasGoodbye = false, IdleClose = IdleClose.None, Share = Connections };
        yield return plain with { HasGoodbye = true };
        if (server.IdleClose != IdleClose.None)
        {
            yield return plain with { IdleClose = server.IdleClose };
        }

        yield return plain;
        yield return plain with { ClosesFirst = ClosesFirst.Client, HasGoodbye = true };
        yield return plain with { ClosesFirst = ClosesFirst.Auto, HasGoodbye = true };
        yield return plain with { ClosesFirst = ClosesFirst.Auto };
        yield return plain with { ClosesFirst = ClosesFirst.Auto, Share = 4 };
    }

    /// <summary>What the design promises.</summary>
    public ClosingRow Promised() => (ClosesFirst, HasGoodbye, IdleClose) switch
    {
        (ClosesFirst.Client, _, _) => AtClient(),
        (_, true, _) => AtServer("goodbye"),
        (ClosesFirst.Server, _, IdleClose.Fin) => AtServer("passive"),
        (ClosesFirst.Server, _, IdleClose.Reset) => AtServer("passive") with { ServerTimeWait = 0 },
        (ClosesFirst.Server, _, _) => this with { ByMethod = new Dictionary<string, long> { ["quiet"] = Connections } },
        _ => AtClient(),
    };

    public override string ToString() =>
        $"{ClosesFirst} | {(HasGoodbye ? "yes" : "-")} | {IdleClose switch { IdleClose.Fin => "FIN", IdleClose.Reset => "RST", _ => "-" }} | {(ClosesFirst == ClosesFirst.Server ? "-" : $"{Share}")} | "
        + $"{string.Join(", ", ByMethod.OrderBy(static entry => entry.Key, StringComparer.Ordinal).Select(static entry => $"{entry.Key} {entry.Value}"))} | "
        + $"{ClientTimeWait} | {ServerTimeWait}";

    private ClosingRow AtServer(string method) => this with
    {
        ByMethod = new Dictionary<string, long> { [method] = Connections },
        ClosedByPeer = Connections,
        ServerTimeWait = Connections,
    };

    private ClosingRow AtClient() => this with
    {
        ByMethod = Share < Connections
            ? new Dictionary<string, long> { ["graceful"] = Share, ["quiet"] = Connections - Share }
            : new Dictionary<string, long> { ["graceful"] = Connections },
        ClientTimeWait = Share,
    };
}
