using System.Diagnostics;

namespace PooledTcp.Connections;

/// <summary>What is kept of a lease for telemetry.</summary>
/// <param name="RentedAt">On the pool clock.</param>
/// <param name="Span">Its span, if it has one.</param>
internal readonly record struct LeaseRecord(TimeSpan RentedAt, Activity? Span);
