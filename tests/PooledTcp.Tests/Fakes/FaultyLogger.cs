using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace PooledTcp.Tests.Fakes;

/// <summary>A sink whose disk is full: it notes what it was given and throws.</summary>
internal sealed class FaultyLogger : ILogger, ILoggerFactory
{
    private readonly ConcurrentQueue<(string Event, Exception? Exception)> _entries = new();

    /// <summary>Every event that came this far, by its name, with its exception.</summary>
    public IReadOnlyCollection<(string Event, Exception? Exception)> Entries => _entries;

    /// <summary>Throws when it is asked, too, not only when it is told.</summary>
    public bool IsEnabledThrows { get; set; }

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => IsEnabledThrows ? throw new IOException("disk full") : true;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        _entries.Enqueue((eventId.Name!, exception));
        throw new IOException("disk full");
    }

    public ILogger CreateLogger(string categoryName) => this;

    public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException();

    public void Dispose()
    {
    }
}
