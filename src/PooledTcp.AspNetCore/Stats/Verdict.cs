using System.Globalization;
using PooledTcp.Telemetry;

namespace PooledTcp.AspNetCore.Stats;

/// <summary>
/// Why a caller of this pool waits, or that none does: a stable code and a sentence with the figures it follows from. A rent that
/// is not served at once either gets a connection that was returned, or one that was dialed; which of the two prevails tells what
/// to do about it.
/// </summary>
/// <param name="Code"><c>closed</c>, <c>draining</c>, <c>paused</c>, <c>unreachable</c>, <c>quiet</c>, <c>dialing</c>, <c>waiting</c> or <c>served_at_once</c>.</param>
/// <param name="Text">For people.</param>
internal readonly record struct Verdict(string Code, string Text)
{
    /// <summary>Fewer late callers than this are no reason to call the pool slow.</summary>
    private const double Late = 0.05;

    /// <param name="pool">As it is now.</param>
    /// <param name="recent">What came in the interval.</param>
    /// <param name="interval">In seconds; null when the counters are all there were since the pool was made.</param>
    /// <param name="total">All connections of all pools, against the limit over them.</param>
    /// <param name="maxTotal">That limit, if there is one.</param>
    public static Verdict Of(TcpPoolSnapshot pool, Counters recent, double? interval, int total, int? maxTotal)
    {
        string period = interval is { } seconds ? $"in the last {Format.Whole(seconds)} s" : "since the pool was made";
        string lastError = pool.LastConnectErrorAge is { } age ? $" Last dial error {Format.Seconds(age.TotalSeconds)} ago: {ErrorTypes.Of(pool.LastConnectError!)}." : "";
        return pool.State switch
        {
            TcpPoolState.Closed => new("closed", "Closed: the client was disposed; every rent fails."),
            TcpPoolState.Draining => new("draining", "Draining: the client is shutting down and refuses new rents."),
            TcpPoolState.Paused => new("paused", $"Paused: rents wait until Resume() is called; {Count(pool.Waiting, "waits", "wait")} now."),
            _ when pool.BreakerState == BreakerState.Open && pool.Idle + pool.Used == 0 =>
                new("unreachable", $"Unreachable: dials failed so often that rents fail at once, until a probe gets through.{lastError}"),
            _ when recent.CreateFailures > 0 && recent.Created == 0 && recent.Rents == 0 =>
                new("unreachable", $"Unreachable: {Count(recent.CreateFailures, "dial", "dials")} failed {period} and none succeeded.{lastError}"),
            _ when recent is { Rents: 0, RentsRefused: 0, Timeouts: 0, Waits: 0 } && pool.Waiting == 0 =>
                new("quiet", $"Quiet: no connection was rented {period}."),
            _ => Serving(pool, recent, period, total, maxTotal),
        };
    }

    private static Verdict Serving(TcpPoolSnapshot pool, Counters recent, string period, int total, int? maxTotal)
    {
        long lost = recent.Timeouts + recent.RentsRefused;
        double atOnce = recent.ServedAtOnce ?? 0;
        bool isPrompt = recent.Rents > 0 && 1 - atOnce < Late;
        string found = $"{Format.Share(atOnce)} of {Count(recent.Rents, "rent", "rents")} {period} found an idle connection";
        if (isPrompt && lost < Late * (recent.Rents + lost))
        {
            return new("served_at_once", $"Served at once: {found}{Rest(recent)}.");
        }

        string late = isPrompt ? $"{found}, but others got none"
            : recent.Rents > 0 ? $"{Format.Share(1 - atOnce)} of {Count(recent.Rents, "rent", "rents")} {period} waited"
            : pool.Waiting > 0 ? $"{Count(pool.Waiting, "caller waits", "callers wait")}, and none was served {period}"
            : $"no caller was served {period}";
        string What(string what) => recent.Rents > 0 && !isPrompt ? $", mostly for {what}" : "";
        if (recent.Created * 2 >= recent.Waits && recent.Created > 0 && recent.Waits + pool.Waiting > 0)
        {
            string each = Format.Seconds(recent.CreateTotal / recent.Created);
            string why = pool.ClosedByReason.Count == 0 ? "" : $" Most closes so far: {pool.ClosedByReason.MaxBy(static reason => reason.Value).Key}.";
            return new("dialing", $"Dialing: {late}{What("a new connection")}: {Count(recent.Created, "dial", "dials")}, {each} each{Rest(recent)}.{why}");
        }

        return new("waiting", $"Waiting: {late}{What("a connection to come back")}{Rest(recent)}{Limit(pool, total, maxTotal)}.");
    }

    /// <summary>How long waits took, of those, too, who got nothing, and how many of these there were.</summary>
    private static string Rest(Counters recent) =>
        (recent.Waits == 0 ? "" : $"; {Count(recent.Waits, "caller", "callers")} waited {Format.Seconds(recent.WaitTotal / recent.Waits)} on average")
        + (recent.Timeouts == 0 ? "" : $"; {Count(recent.Timeouts, "rent", "rents")} timed out")
        + (recent.RentsRefused == 0 ? "" : $"; {Count(recent.RentsRefused, "rent was", "rents were")} refused");

    /// <summary>
    /// What keeps callers waiting at this moment, or nothing: the waits were before, and what was reached then is not known.
    /// </summary>
    private static string Limit(TcpPoolSnapshot pool, int total, int? maxTotal) =>
        pool.Idle > 0 ? ""
        : pool.Used + pool.Connecting + pool.Closing >= pool.MaxConnections
            ? $"; now MaxConnections {Format.Whole(pool.MaxConnections)} is reached, {Format.Whole(pool.Used)} on loan"
        : maxTotal <= total ? $"; now MaxTotalConnections {Format.Whole(maxTotal.Value)} is reached"
        : pool.Connecting >= pool.MaxConnecting ? $"; now MaxConnecting {Format.Whole(pool.MaxConnecting)} is reached"
        : "";

    private static string Count(long count, string one, string many) =>
        string.Create(CultureInfo.InvariantCulture, $"{count:N0} {(count == 1 ? one : many)}");
}
