using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Primitives;

namespace PooledTcp.Configuration;

/// <summary>
/// Follows the configuration: publishes each valid change, and keeps the last good snapshot when the new one is invalid,
/// malformed or gone.
/// </summary>
/// <remarks>
/// Not built on <see cref="IOptionsMonitor{TOptions}"/>: that drops the good value before it makes the next one, and
/// throws from every later <c>Get</c> if the next one is bad. Here the same change tokens are heard and the same
/// <see cref="IOptionsFactory{TOptions}"/> builds, in a try.
/// </remarks>
internal sealed class SettingsSource(
    IOptionsFactory<PooledTcpOptions> factory,
    IEnumerable<IOptionsChangeTokenSource<PooledTcpOptions>> changes,
    IEnumerable<PooledTcpSection> sections,
    ILogger logger) : IDisposable
{
    private readonly PooledTcpSection[] _sections = [.. sections];
    private readonly List<IDisposable> _registrations = [];

    // What the last good snapshot was made of: only a section that had content can vanish.
    private HashSet<PooledTcpSection> _present = [];
    private HashSet<string> _keys = [];
    private ClientSettings? _current;
    private string? _lastRejection;
    private Action<ClientSettings>? _publish;
    private int _requests;
    private volatile bool _disposed;

    /// <summary>The first snapshot.</summary>
    /// <exception cref="OptionsValidationException">Some settings are not valid; the message has a line for each.</exception>
    public ClientSettings Load()
    {
        _present = Present();
        (_current, _keys) = Build();
        return _current;
    }

    /// <summary>Calls <paramref name="publish"/> for each valid change since <see cref="Load"/>, one at a time, in order.</summary>
    public void Watch(Action<ClientSettings> publish)
    {
        _publish = publish;
        foreach (var change in changes)
        {
            _registrations.Add(ChangeToken.OnChange(change.GetChangeToken, Reload));
        }

        // A change between Load and the lines above told nobody.
        Reload();
    }

    public void Dispose()
    {
        _disposed = true;
        foreach (var registration in _registrations)
        {
            registration.Dispose();
        }
    }

    private void Reload()
    {
        // Tokens fire on any thread, several at once, and even from inside a rebuild (a configure action that touches
        // the configuration). No lock: whoever comes while one rebuilds makes that one look again.
        if (Interlocked.Increment(ref _requests) > 1)
        {
            return;
        }

        int seen;
        do
        {
            seen = Volatile.Read(ref _requests);
            if (!_disposed)
            {
                Rebuild();
            }
        }
        while (Interlocked.CompareExchange(ref _requests, 0, seen) != seen);
    }

    private void Rebuild()
    {
        var last = _current!;
        try
        {
            var present = Present();
            ThrowIfGone(_present.Except(present).Select(static section =>
                $"{section.Path}: has nothing in it any more; it was removed, or its file was emptied."));

            var (next, keys) = Build();
            ThrowIfGone(Gone(last, next, keys));

            _lastRejection = null;
            _present = present;
            _keys = keys;
            if (!next.Equals(last))
            {
                _publish!(next);
                _current = next;
                ConfigurationLog.OptionsApplied(logger, next.Endpoints.Count);
            }
        }
        catch (Exception e)
        {
            // Everything, user code in configure actions included: this runs on the provider's thread, and a service
            // with good settings must go on. File watchers fire twice for one save; the same news is told once.
            if (!string.Equals(e.Message, _lastRejection, StringComparison.Ordinal))
            {
                _lastRejection = e.Message;
                ConfigurationLog.OptionsRejected(logger, e.Message, e is OptionsValidationException ? null : e);
            }
        }
    }

    // A provider whose file was damaged or deleted keeps its other layers company with no keys at all, and a missing key
    // means the default: TLS off, a hundred connections. Nobody can tell that from an intended removal, so a key may go
    // only where it changes nothing. Endpoints that are gone get one line, not one for each of their keys.
    private IEnumerable<string> Gone(ClientSettings last, ClientSettings next, HashSet<string> keys)
    {
        var endpoints = last.Endpoints.Keys.Except(next.Endpoints.Keys, StringComparer.OrdinalIgnoreCase)
            .Select(name => $"{next.Path}:Endpoints:{name}").ToArray();
        var settings = next.Equals(last)
            ? []
            : _keys.Except(keys, StringComparer.OrdinalIgnoreCase)
                .Where(key => !endpoints.Any(path => key.StartsWith(path + ":", StringComparison.OrdinalIgnoreCase)));
        return endpoints.Select(static path => $"{path}: is no longer configured; an endpoint stays until the process ends.")
            .Concat(settings.Select(static key => $"{key}: has vanished; to give it up, write its default value."))
            .Order(StringComparer.Ordinal);
    }

    private (ClientSettings Settings, HashSet<string> Keys) Build()
    {
        try
        {
            var options = factory.Create(Options.DefaultName);
            return (SettingsFactory.Create(options), options.BoundKeys);
        }
        catch (OptionsValidationException e) when (e is not InvalidSettingsException)
        {
            // The factory ran our validator and the user's: same faults, one line for each.
            throw new InvalidSettingsException(e.Failures.ToArray());
        }
    }

    private HashSet<PooledTcpSection> Present() => [.. _sections.Where(static section => section.HasContent)];

    private static void ThrowIfGone(IEnumerable<string> faults)
    {
        var lines = faults.ToArray();
        if (lines.Length > 0)
        {
            throw new InvalidSettingsException(lines);
        }
    }
}
