using System.Globalization;
using PooledTcp.Connections;
using PooledTcp.Ports;
using PooledTcp.Shutdown;

namespace PooledTcp.Pooling;

/// <summary>What the pool tells: the snapshot, and errors that carry the numbers and name the setting to turn.</summary>
internal sealed partial class ConnectionPool
{
    private long _rentTimeouts;

    // Under the gate only.
    private long _usesOfGone;
    private long _rentsWaited;
    private long _rentsRefused;
    private TcpTimings _waitTime;
    private TcpTimings _createTime;

    public TcpPoolSnapshot GetSnapshot()
    {
        TimeSpan now = Services.Clock.Read();
        lock (_gate)
        {
            _routes.Advance(now);
            // Rents and returns go on meanwhile: a connection is idle or used in turn, but counted once.
            int idle = CountIdle();
            (int Used, int Budget, int TimeWaitOwed, int TimeWaitLimit, double Pressure) ports = CountPorts();
            return new TcpPoolSnapshot
            {
                Name = Name,
                Address = _settings.Address.ToString(),
                IsAdHoc = IsAdHoc,
                State = _paused ? TcpPoolState.Paused : _state switch
                {
                    PoolState.Draining => TcpPoolState.Draining,
                    PoolState.Closed => TcpPoolState.Closed,
                    _ => TcpPoolState.Open,
                },
                Generation = _generation,
                MaxConnections = _settings.MaxConnections,
                MinIdleConnections = _settings.MinIdleConnections,
                MaxConnecting = _settings.MaxConnecting,
                MaxWaiters = _settings.MaxWaiters,
                Idle = idle,
                Used = _open - idle,
                Connecting = _connecting,
                Closing = _closing,
                Waiting = _waiters.Count,
                Rents = CountRents(),
                RentsWaited = _rentsWaited,
                RentsRefused = _rentsRefused,
                WaitTime = _waitTime,
                CreateTime = _createTime,
                Created = _created,
                PortsUsed = ports.Used,
                PortBudget = ports.Budget,
                PortPressure = ports.Pressure,
                TimeWaitOwed = ports.TimeWaitOwed,
                TimeWaitLimit = ports.TimeWaitLimit,
                Closed = _closedBy.Sum() - _closing,
                ClosedByMethod = CountMethods(),
                ClosedByPeer = _closedByPeer,
                ClosedByReason = CountClosed(),
                DialsFailed = _dialsFailed,
                RentTimeouts = Interlocked.Read(ref _rentTimeouts),
                Retries = _retries,
                LastConnectError = _lastConnectError,
                LastConnectErrorAge = _lastConnectError is null ? null : now - _lastConnectErrorAt,
                BreakerState = _routes.State,
                Addresses = DescribeAddresses(),
                LearnedIdleLimit = _peerIdleLimit.Limit,
            };
        }
    }

    /// <summary>Under the gate. Each connection counts its own: a counter that every rent wrote would be what they contend for.</summary>
    private long CountRents()
    {
        long rents = _usesOfGone;
        foreach (TcpConnection? connection in _table.Items)
        {
            rents += connection is { HasLeft: false } ? connection.Uses : 0;
        }

        return rents;
    }

    private Dictionary<string, long> CountClosed()
    {
        Dictionary<string, long> counts = new(StringComparer.Ordinal);
        for (int reason = 0; reason < _closedBy.Length; reason++)
        {
            if (_closedBy[reason] > 0)
            {
                counts.Add(CloseReasons.Name((CloseReason)reason), _closedBy[reason]);
            }
        }

        return counts;
    }

    private Dictionary<string, long> CountMethods()
    {
        Dictionary<string, long> counts = new(StringComparer.Ordinal);
        for (int method = 0; method < _closedByMethod.Length; method++)
        {
            if (_closedByMethod[method] > 0)
            {
                string name = CloseMethods.Name((CloseMethod)method);
                counts[name] = counts.GetValueOrDefault(name) + _closedByMethod[method];
            }
        }

        return counts;
    }

    private PooledTcpException TimeoutError(TimeSpan timeout)
    {
        Exception? dialError;
        string numbers;
        string cause;
        lock (_gate)
        {
            if (_portsExhausted is { } exhausted)
            {
                return NoPortError(string.Create(CultureInfo.InvariantCulture, $"within {timeout.TotalSeconds:0.###} s"), exhausted);
            }

            // Of old dial errors only the message tells; as the cause it counts while nothing is open.
            bool capped = IsCapReached();
            dialError = _open == 0 && !capped ? _lastConnectError : null;
            numbers = Numbers();
            cause = _paused ? "The pool is paused; call Resume()."
                : dialError is not null ? $"No connection could be opened: check the endpoint {_settings.Address}."
                : capped ? "The limit over all keys is reached: raise MaxTotalConnections if the host can carry more, RentTimeout if callers can wait longer, or return connections sooner."
                : "Raise MaxConnections if the server can take more, RentTimeout if callers can wait longer, or return connections sooner.";
        }

        return new RentTimeoutException(
            string.Create(CultureInfo.InvariantCulture, $"Pool '{Name}' had no connection for a caller within {timeout.TotalSeconds:0.###} s {numbers}. {cause}"),
            Name,
            timeout,
            dialError);
    }

    private LocalPortsExhaustedException NoPortError(string when, NoLocalPortException exhausted)
    {
        lock (_gate)
        {
            return new LocalPortsExhaustedException(
                $"Pool '{Name}' found no local port for a connection to {_settings.Address} {when} {Numbers()}. {exhausted.Message}. "
                + "See Shutdown.ClosesFirst, Ports.Range and Ports.SourceAddresses.",
                Name,
                exhausted.InnerException ?? exhausted);
        }
    }

    /// <summary>Under the gate.</summary>
    private PoolQueueFullException QueueFullError() => new(
        $"Pool '{Name}' refused a rent: MaxWaiters ({_settings.MaxWaiters}) callers wait already {Numbers()}. "
        + $"The service asks for more than its connections can carry: raise {(IsCapReached() ? "MaxTotalConnections" : "MaxConnections")}, or shed load earlier.",
        Name);

    private PoolClosedException ClosedError() => new(
        _state switch
        {
            PoolState.Open => $"Pool '{Name}' is not warmed up any more: its host is stopping, and nothing is dialed in advance.",
            PoolState.Draining => $"Pool '{Name}' is draining: the client is shutting down and takes no new rents.",
            _ => $"Pool '{Name}' is closed: its client was disposed.",
        },
        Name);

    private EndpointUnavailableException UnavailableError(Exception cause, string told)
    {
        lock (_gate)
        {
            return new EndpointUnavailableException(
                $"Pool '{Name}' could not open a connection to {_settings.Address}: {told} {Numbers(told)}", Name, cause);
        }
    }

    /// <summary>TLS errors say "see inner exception", and a log line has only the message.</summary>
    private static string Describe(Exception error)
    {
        string root = error.GetBaseException().Message;
        return error.Message.Contains(root, StringComparison.Ordinal) ? error.Message : $"{error.Message} {root}";
    }

    /// <summary>Under the gate. Cheap enough for an overloaded pool that refuses thousands of rents a second.</summary>
    /// <param name="told">
    /// The error that the message is about. The same text is not repeated as the last one: dials that end together fail
    /// alike, so another dial's is often the last.
    /// </param>
    private string Numbers(string? told = null)
    {
        int idle = CountIdle();
        string lastError = "";
        if (_lastConnectErrorText is { } last && !string.Equals(last, told, StringComparison.Ordinal))
        {
            lastError = string.Create(
                CultureInfo.InvariantCulture, $", last dial error {(Services.Clock.Coarse - _lastConnectErrorAt).TotalSeconds:0} s ago: {last}");
        }

        return $"(idle {idle}, used {_open - idle}, connecting {_connecting}, closing {_closing}, waiting {_waiters.Count}, "
            + $"MaxConnections {_settings.MaxConnections}{CapNumbers()}{lastError})";
    }
}
