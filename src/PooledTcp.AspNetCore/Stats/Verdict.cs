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
    /// <param name="interval">In seconds; null for all the time there was.</param>
    /// <param name="total">All connections of all pools, against the limit over them.</param>
    /// <param name="maxTotal">That limit, if there is one.</param>
    public static Verdict Of(TcpPoolSnapshot pool, Counters recent, double? interval, int total, int? maxTotal)
    {
        string period = interval is { } seconds ? $"in the last {Format.Whole(seconds)} s" : "so far";
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
            _ when recent.Rents == 0 && recent.Timeouts == 0 && pool.Waiting == 0 =>
                new("quiet", $"Quiet: no connection was rented {period}."),
            _ => Serving(pool, recent, period, total, maxTotal),
        };
    }

    private static Verdict Serving(TcpPoolSnapshot pool, Counters recent, string period, int total, int? maxTotal)
    {
        double atOnce = recent.ServedAtOnce ?? 0;
        long asked = recent.Rents + recent.Timeouts;
        string average = recent.Waits == 0 ? "" : $", {Format.Seconds(recent.WaitTotal / recent.Waits)} on average";
        if (1 - atOnce < Late)
        {
            string rest = recent.Waits == 0 ? "." : $"; {Count(recent.Waits, "caller", "callers")} waited{average}.";
            return new("served_at_once", $"Served at once: {Format.Share(atOnce)} of {Count(asked, "rent", "rents")} {period} found an idle connection{rest}");
        }

        string late = asked == 0 ? $"{Count(pool.Waiting, "caller waits", "callers wait")}, and none was served {period}," : $"{Format.Share(1 - atOnce)} of {Count(asked, "rent", "rents")} {period} waited{average}";
        if (recent.Created * 2 >= recent.Waits && recent.Created > 0)
        {
            string each = Format.Seconds(recent.CreateTotal / recent.Created);
            string why = pool.ClosedByReason.Count == 0 ? "" : $" Most closes so far: {pool.ClosedByReason.MaxBy(static reason => reason.Value).Key}.";
            return new("dialing", $"Dialing: {late}, mostly for a new connection: {Count(recent.Created, "dial", "dials")}, {each} each.{why}");
        }

        int open = pool.Idle + pool.Used + pool.Connecting + pool.Closing;
        string limit = open >= pool.MaxConnections
            ? $"{Format.Whole(pool.Used)} of MaxConnections {Format.Whole(pool.MaxConnections)} are on loan"
            : maxTotal <= total
                ? $"MaxTotalConnections {Format.Whole(maxTotal.Value)} is reached"
                : $"{Format.Whole(pool.Used)} are on loan, {Format.Whole(pool.Connecting)} of MaxConnecting {Format.Whole(pool.MaxConnecting)} are being dialed";
        return new("waiting", $"Waiting: {late} for a connection to come back; {limit}.");
    }

    private static string Count(long count, string one, string many) =>
        string.Create(CultureInfo.InvariantCulture, $"{count:N0} {(count == 1 ? one : many)}");
}
