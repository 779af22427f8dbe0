using System.Diagnostics.Metrics;
using System.Net;
using PooledTcp.LoadTest.Servers;
using PooledTcp.LoadTest.Statistics;

namespace PooledTcp.LoadTest.Contenders;

/// <summary>Rent, exchange, complete, return, by the direct API; as many connections as workers unless told otherwise.</summary>
internal sealed class PooledContender : Contender
{
    private readonly PooledTcpClient _client;
    private readonly TcpPool _pool;
    private readonly Wire _wire;
    private readonly int _connections;
    private readonly bool _byStream;
    private readonly CancellationTokenSource? _caller;

    /// <param name="name">Of this contender.</param>
    /// <param name="server">Where it connects.</param>
    /// <param name="wire">What it says.</param>
    /// <param name="connections">At most, and warm.</param>
    /// <param name="byStream">Instead of by the direct API.</param>
    /// <param name="withToken">Every call gets a token that may be cancelled, as a service's calls do.</param>
    /// <param name="meters">Where its instruments are made.</param>
    public PooledContender(
        string name, IPEndPoint server, Wire wire, int connections, bool byStream = false, bool withToken = false, IMeterFactory? meters = null)
        : base(name)
    {
        _wire = wire;
        _connections = connections;
        _byStream = byStream;
        _caller = withToken ? new CancellationTokenSource() : null;
        _client = new PooledTcpClient(
            new PooledTcpOptions().AddEndpoint("server", endpoint =>
            {
                endpoint.Address = $"{server}";
                endpoint.MaxConnections = connections;
            }),
            meterFactory: meters);
        _pool = _client.GetPool("server");
    }

    public override Task OpenAsync() => _pool.WarmUpAsync(_connections);

    public override Task WorkAsync(Worker worker) => _byStream ? WorkByStreamAsync(worker) : WorkDirectlyAsync(worker);

    protected override ValueTask CloseAsync()
    {
        _caller?.Dispose();
        return _client.DisposeAsync();
    }

    private async Task WorkDirectlyAsync(Worker worker)
    {
        byte[] buffer = new byte[_wire.ReplyLength];
        CancellationToken token = _caller?.Token ?? default;
        while (worker.Goes)
        {
            using TcpLease lease = await _pool.RentAsync(token);
            await lease.SendAsync(_wire.Request, token);
            int received = 0;
            while (received < buffer.Length)
            {
                int count = await lease.ReceiveAsync(buffer.AsMemory(received), token);
                received += count > 0 ? count : throw new EndOfStreamException("The server closed before it had answered.");
            }

            lease.Complete();
            worker.Done();
        }
    }

    private async Task WorkByStreamAsync(Worker worker)
    {
        byte[] buffer = new byte[_wire.ReplyLength];
        while (worker.Goes)
        {
            using TcpLease lease = await _pool.RentAsync();
            Stream stream = lease.Stream;
            await stream.WriteAsync(_wire.Request);
            int received = 0;
            while (received < buffer.Length)
            {
                int count = await stream.ReadAsync(buffer.AsMemory(received));
                received += count > 0 ? count : throw new EndOfStreamException("The server closed before it had answered.");
            }

            lease.Complete();
            worker.Done();
        }
    }
}
