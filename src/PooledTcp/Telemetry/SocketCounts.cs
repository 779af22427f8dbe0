using System.Diagnostics.Metrics;
using System.Net;
using PooledTcp.Ports;

namespace PooledTcp.Telemetry;

/// <summary>
/// <c>pooled_tcp.socket.count</c>: the kernel's sockets towards the servers in use, by state. One walk for all servers, and
/// the same answer for <see cref="Freshness"/>, whoever collects.
/// </summary>
internal sealed class SocketCounts(TimeProvider? time = null, Func<ISocketTally, CensusMethod>? walk = null)
{
    public static readonly TimeSpan Freshness = TimeSpan.FromSeconds(5);

    private static readonly (TcpStates State, string Name)[] States =
    [
        (TcpStates.Established, "established"),
        (TcpStates.SynSent, "syn_sent"),
        (TcpStates.SynReceived | TcpStates.NewSynReceived, "syn_received"),
        (TcpStates.FinWait1, "fin_wait_1"),
        (TcpStates.FinWait2, "fin_wait_2"),
        (TcpStates.TimeWait, "time_wait"),
        (TcpStates.CloseWait, "close_wait"),
        (TcpStates.LastAck, "last_ack"),
        (TcpStates.Closing, "closing"),
    ];

    private readonly TimeProvider _time = time ?? TimeProvider.System;
    private readonly Func<ISocketTally, CensusMethod> _walk = walk ?? (static tally => SocketTable.Walk(PortAbilities.Detected, TcpStates.Connections, default, tally));
    private readonly Lock _lock = new();
    private readonly HashSet<(string?, int?)> _told = [];
    private List<Measurement<long>> _last = [];
    private long? _lastAt;

    /// <param name="servers">The addresses of each server, by what metrics call it.</param>
    public IReadOnlyCollection<Measurement<long>> Read(IReadOnlyDictionary<(string? Address, int? Port), HashSet<IPEndPoint>> servers)
    {
        lock (_lock)
        {
            if (servers.Count == 0 && _told.Count == 0)
            {
                return [];
            }

            if (_lastAt is not { } last || _time.GetElapsedTime(last) >= Freshness)
            {
                _last = Count(servers);
                _lastAt = _time.GetTimestamp();
            }

            return _last;
        }
    }

    private List<Measurement<long>> Count(IReadOnlyDictionary<(string? Address, int? Port), HashSet<IPEndPoint>> servers)
    {
        Tally tally = new();
        if (servers.Count > 0 && _walk(tally) == CensusMethod.LedgerOnly)
        {
            // Nobody could be asked: no figure is better than zero.
            return [];
        }

        _told.UnionWith(servers.Keys);
        List<Measurement<long>> measurements = new(_told.Count * States.Length);
        foreach ((string? address, int? port) in _told)
        {
            foreach ((TcpStates state, string name) in States)
            {
                long count = servers.TryGetValue((address, port), out HashSet<IPEndPoint>? endPoints)
                    ? endPoints.Sum(endPoint => (long)tally.Count(endPoint, state))
                    : 0;
                measurements.Add(new Measurement<long>(
                    count,
                    [
                        new(Attributes.NetworkConnectionState, name),
                        .. address is null ? [] : (KeyValuePair<string, object?>[])[new(Attributes.ServerAddress, address)],
                        .. port is null ? [] : (KeyValuePair<string, object?>[])[new(Attributes.ServerPort, port)],
                    ]));
            }
        }

        return measurements;
    }

    private sealed class Tally : ISocketTally
    {
        private readonly Dictionary<(AddressKey, int), TcpStateCounts> _counts = [];

        public void Add(AddressKey local, int localPort, AddressKey remote, int remotePort, TcpStates state)
        {
            if ((state & TcpStates.Connections) != TcpStates.None)
            {
                TcpStateCounts counts = _counts.GetValueOrDefault((remote, remotePort));
                counts.Add(state);
                _counts[(remote, remotePort)] = counts;
            }
        }

        public void Clear() => _counts.Clear();

        public int Count(IPEndPoint server, TcpStates state) =>
            _counts.TryGetValue((AddressKey.From(server.Address), server.Port), out TcpStateCounts counts) ? counts[state] : 0;
    }
}
