using OutageReplay.Acts;
using OutageReplay.Network;

namespace OutageReplay;

/// <summary>Whether the replay showed what it is meant to show, in one sentence.</summary>
internal sealed record Verdict(bool Proved, string Sentence)
{
    private const int FirstRequestWithoutPort = PortWindow.Width + 1;

    /// <summary>Ports.TimeWaitShare is a quarter by default.</summary>
    private const int TimeWaitShare = PortWindow.Width / 4;

    public static Verdict On(Report report)
    {
        Verdict first = OnFirstTwoActs(report);
        (bool proved, string sentence) = OnChurn(report);
        return new(first.Proved && proved, $"{first.Sentence} {sentence}");
    }

    private static Verdict OnFirstTwoActs(Report report)
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

    /// <summary>Where connections must be closed, the policies that spare the client's ports have to carry it within their share of TIME_WAITs.</summary>
    private static Verdict OnChurn(Report report)
    {
        ChurnFigures? failed = report.Churn.FirstOrDefault(figures => figures.Policy.IsCure() && (figures.Failed > 0 || figures.ClientTimeWait > TimeWaitShare));
        if (failed is not null)
        {
            return new(
                false,
                $"Not cured where connections must be closed: under {failed.Policy.Title()} {failed.Failed} of {failed.Offered} requests failed, "
                + $"and the client had {failed.ClientTimeWait} TIME_WAITs where {TimeWaitShare} are its share.");
        }

        int most = report.Churn.Where(figures => figures.Policy.IsCure()).Max(figures => figures.ClientTimeWait);
        return new(true, $"Where each connection must be closed, Auto and Server carried all requests with at most {most} TIME_WAITs on the client's side.");
    }
}
