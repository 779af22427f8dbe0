namespace OutageReplay.Acts;

/// <summary>What came of one policy of the third act, in the shape of <c>--json</c>.</summary>
/// <param name="Offered">Requests, each on a connection that is closed after it.</param>
/// <param name="P99Us">99th percentile over successful requests, microseconds; null if there were none.</param>
internal sealed record ChurnFigures(
    ChurnPolicy Policy, int Offered, int Ok, int Failed, int ClientTimeWait, int ServerTimeWait, double? P99Us);
