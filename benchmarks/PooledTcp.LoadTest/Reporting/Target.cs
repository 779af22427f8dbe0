using System.Text.Json.Serialization;

namespace PooledTcp.LoadTest.Reporting;

/// <summary>One limit, and whether it is kept.</summary>
/// <param name="Id">Number of the target, and which part of it.</param>
/// <param name="Value">What is compared with the limit; null when it could not be measured.</param>
/// <param name="Limit">Allowed still.</param>
/// <param name="Unit">Of all the numbers.</param>
/// <param name="Median">Over all rounds.</param>
/// <param name="Min">The smallest.</param>
/// <param name="Max">The largest.</param>
/// <param name="Pass">The value keeps the limit.</param>
/// <param name="Repeated">Rounds that were thrown away, since others used the machine.</param>
/// <param name="Disturbed">Such rounds that are in the numbers all the same: half as many as are wanted are repeated at most.</param>
/// <param name="AtLeast">The limit is a lower one.</param>
/// <param name="Effort">How long it was measured.</param>
/// <param name="What">The target in words, and which of the numbers is the value.</param>
internal sealed record Target(
    string Id, double? Value, double Limit, string Unit, double? Median, double? Min, double? Max, bool Pass, int Repeated, int Disturbed, bool AtLeast, Effort Effort, string What)
{
    public static Target Unmeasured(string id, Effort effort, string why) => new(id, null, 0, "", null, null, null, Pass: false, 0, 0, AtLeast: false, effort, $"could not be measured: {why}");

    [JsonIgnore]
    public string Bound => AtLeast ? "at least" : "at most";

    /// <summary>What others had to do with it; empty when nothing.</summary>
    [JsonIgnore]
    public string Noise => (Repeated, Disturbed) == default ? "" : $" (others used the machine: {Repeated} rounds repeated, {Disturbed} kept)";
}
