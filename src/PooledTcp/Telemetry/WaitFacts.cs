using System.Diagnostics;

namespace PooledTcp.Telemetry;

/// <summary>What is noted when a caller joins the queue, if somebody wants to know.</summary>
/// <param name="Caller">Its activity.</param>
/// <param name="IsTraced">There is to be a span.</param>
/// <param name="StartedAt">By the wall clock; not read when there is no span.</param>
/// <param name="Pool">As it found the pool, itself not among those who wait. Not read when there is no span, nor for a caller whose
/// own trace is not recorded: the queue is longest when there is least time to count.</param>
internal readonly record struct WaitFacts(Activity? Caller, bool IsTraced, DateTimeOffset StartedAt, PoolReading? Pool);
