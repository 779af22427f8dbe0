using System.Net;
using OutageReplay.Network;
using PooledTcp;

namespace OutageReplay.Acts;

/// <summary>The cure: the same request on a connection rented from a pool.</summary>
internal sealed class PooledAct : IAct
{
    private const string Endpoint = "garnet";

    // One client for the whole process: it is the client that keeps the connections.
    private readonly PooledTcpClient _client;

    /// <param name="window">The ports to dial from, where the namespace does not say so already.</param>
    /// <param name="configure">What is special about this pool.</param>
    public PooledAct(IPEndPoint server, PortWindow? window, Action<TcpEndpointOptions> configure)
    {
        var options = new PooledTcpOptions();
        options.AddEndpoint(Endpoint, endpoint =>
        {
            endpoint.Address = server.ToString();
            endpoint.Ports.Range = window?.ToString();
            configure(endpoint);
        });
        _client = new PooledTcpClient(options);
    }

    public long Connects => _client.GetPool(Endpoint).GetSnapshot().Created;

    public async Task RequestAsync(int number, CancellationToken cancellationToken)
    {
        await using TcpLease lease = await _client.RentAsync(Endpoint, cancellationToken);

        string sent = $"request {number}";
        await lease.SendAsync(Resp.Command("PING", sent), cancellationToken);

        var buffer = new byte[512];
        int received = 0;
        string reply;
        while (!Resp.TryReadBulkString(buffer.AsSpan(0, received), out reply))
        {
            int count = await lease.ReceiveAsync(buffer.AsMemory(received), cancellationToken);
            received += count > 0 ? count : throw new EndOfStreamException("The server closed the connection.");
        }

        // The whole reply is read: the connection may serve the next caller. Without this line it would be closed.
        lease.Complete();

        if (reply != sent)
        {
            throw new InvalidDataException($"Asked '{sent}', got '{reply}'.");
        }
    }

    public ValueTask DisposeAsync() => _client.DisposeAsync();
}
