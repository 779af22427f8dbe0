using OutageReplay.Acts;
using OutageReplay.Network;

namespace OutageReplay;

/// <summary>Whether the replay showed what it is meant to show, in one sentence.</summary>
internal sealed record Verdict(bool Proved, string Sentence)
{
    private const int FirstRequestWithoutPort = PortWindow.Width + 1;

    public static Verdict On(Report report)
    {
        (ActFigures naive, ActFigures pooled) = (report.Naive, report.Pooled);
        if (pooled.Failed > 0)
        {
            return new(false, $"Not cured: {pooled.Failed} of {pooled.Requests} pooled requests failed, the first at request {pooled.FirstFailureAt}.");
        }

        string cure = $"the same {pooled.Requests} requests through PooledTcpClient opened {Connections(pooled)} and none failed.";
        string failures = $"{naive.Failed} of {naive.Requests} failed";
        string outage = naive.FirstFailureAt is int request ? $"failed first at request {request}" : "never failed";
        if (!report.Environment.Namespace)
        {
            return new(true, $"One connection per request {outage} ({failures}; more would have without the reuse of loopback ports); {cure}");
        }

        return naive.FirstFailureAt == FirstRequestWithoutPort
            ? new(true, $"One connection per request used up its {PortWindow.Width} ports and {outage} ({failures}); {cure}")
            : new(false, $"No proof: one connection per request {outage}, not at request {FirstRequestWithoutPort} ({failures}); {cure}");
    }

    private static string Connections(ActFigures figures) => figures.Connects == 1 ? "1 connection" : $"{figures.Connects} connections";
}
