namespace OutageReplay.Acts;

/// <summary>One way for a service to reach its cache. Disposing it closes what it still holds open.</summary>
internal interface IAct : IAsyncDisposable
{
    /// <summary>Connections opened so far.</summary>
    long Connects { get; }

    /// <summary>One request and its checked reply; throws if either fails.</summary>
    Task RequestAsync(int number, CancellationToken cancellationToken);
}
