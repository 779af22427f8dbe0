using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace PooledTcp.Tests.Fakes;

/// <summary>Keeps what was logged.</summary>
internal sealed class RecordingLogger : ILogger
{
    private readonly ConcurrentQueue<Entry> _entries = new();

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    /// <summary>Levels below it are off.</summary>
    public LogLevel Level { get; set; }

    public bool IsEnabled(LogLevel logLevel) => logLevel >= Level;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
        _entries.Enqueue(new Entry(
            eventId.Id,
            eventId.Name!,
            logLevel,
            formatter(state, exception),
            exception,
            state is IEnumerable<KeyValuePair<string, object?>> fields ? [.. fields] : []));

    /// <summary>Every category goes here.</summary>
    public ILoggerFactory AsFactory() => new Factory(this);

    public IReadOnlyCollection<Entry> Entries => _entries;

    public bool Has(string name) => Count(name) > 0;

    public int Count(string name) => _entries.Count(entry => entry.Name == name);

    public Entry Single(string name) => _entries.Single(entry => entry.Name == name);

    public IReadOnlyList<Entry> All(string name) => [.. _entries.Where(entry => entry.Name == name)];

    public sealed record Entry(int Id, string Name, LogLevel Level, string Text, Exception? Exception, IReadOnlyList<KeyValuePair<string, object?>> Fields)
    {
        public object? this[string field] => Fields.Single(f => f.Key == field).Value;

        /// <summary>How many of its kind were left out before it.</summary>
        public long Suppressed => Fields.Any(static f => f.Key == "Suppressed") ? (long)this["Suppressed"]! : 0;
    }

    private sealed class Factory(RecordingLogger logger) : ILoggerFactory
    {
        public ILogger CreateLogger(string categoryName) => logger;

        public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException();

        public void Dispose()
        {
        }
    }
}
