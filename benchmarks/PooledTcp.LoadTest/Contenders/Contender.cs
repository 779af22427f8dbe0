using PooledTcp.LoadTest.Statistics;

namespace PooledTcp.LoadTest.Contenders;

/// <summary>
/// One way to do the work. The loop is its own, not the harness's: an async method for each request would cost more than the
/// difference that is looked for.
/// </summary>
internal abstract class Contender(string name) : IAsyncDisposable
{
    public string Name { get; } = name;

    /// <summary>Opens what it needs before the clock runs.</summary>
    public virtual Task OpenAsync() => Task.CompletedTask;

    /// <summary>The loop of one caller, as long as <see cref="Worker.Goes"/>.</summary>
    public abstract Task WorkAsync(Worker worker);

    public ValueTask DisposeAsync() => CloseAsync();

    public override string ToString() => Name;

    /// <summary>Closes what <see cref="OpenAsync"/> opened.</summary>
    protected virtual ValueTask CloseAsync() => default;
}
