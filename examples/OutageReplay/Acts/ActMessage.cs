using System.Text.Json.Serialization;

namespace OutageReplay.Acts;

/// <summary>What an act tells its parent: one JSON object a line.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "is")]
[JsonDerivedType(typeof(ActSample), "sample")]
[JsonDerivedType(typeof(ActFinished), "finished")]
[JsonDerivedType(typeof(ActFailed), "failed")]
[JsonDerivedType(typeof(ChurnPlayed), "churn")]
[JsonDerivedType(typeof(ChurnFinished), "churned")]
internal abstract record ActMessage;

/// <summary>The state of a running act.</summary>
internal sealed record ActSample(
    TimeSpan Elapsed, int Succeeded, int Failed, int PortsLeft, int ClientTimeWait, int ServerTimeWait, FirstFailure? FirstFailure)
    : ActMessage;

/// <summary>The act played to its end.</summary>
internal sealed record ActFinished(ActFigures Figures, FirstFailure? FirstFailure) : ActMessage;

/// <summary>The act could not be played at all.</summary>
internal sealed record ActFailed(string Reason) : ActMessage;

/// <summary>One policy of the third act was played.</summary>
internal sealed record ChurnPlayed(ChurnFigures Figures) : ActMessage;

/// <summary>All of them were.</summary>
internal sealed record ChurnFinished : ActMessage;

/// <param name="Request">1 for the first request of the act.</param>
internal sealed record FirstFailure(int Request, string Error);

/// <summary>The measured result of one act, in the shape of <c>--json</c>.</summary>
/// <param name="Requests">Sent and failed together.</param>
/// <param name="FirstFailureAt">Number of the first failed request, from 1; null if none failed.</param>
/// <param name="Connects">Connections opened.</param>
/// <param name="P50Us">Median over successful requests, microseconds; null if there were none.</param>
/// <param name="P99Us">99th percentile over successful requests, microseconds; null if there were none.</param>
internal sealed record ActFigures(
    int Requests, int Failed, int? FirstFailureAt, long Connects, double? P50Us, double? P99Us, int ClientTimeWait, int ServerTimeWait);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(ActSettings))]
[JsonSerializable(typeof(ActMessage))]
internal sealed partial class ActJson : JsonSerializerContext;
