using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace PooledTcp.Tests.Fakes;

/// <summary>Keeps what was logged.</summary>
internal sealed class RecordingLogger : ILogger
{
    private readonly ConcurrentQueue<Entry> _entries = new();

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
        _entries.Enqueue(new Entry(eventId.Id, eventId.Name!, logLevel, formatter(state, exception)));

    public bool Has(string name) => Count(name) > 0;

    public int Count(string name) => _entries.Count(entry => entry.Name == name);

    public Entry Single(string name) => _entries.Single(entry => entry.Name == name);

    public sealed record Entry(int Id, string Name, LogLevel Level, string Text);
}
