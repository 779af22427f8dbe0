using System.Net;
using System.Net.Sockets;
using OutageReplay.Network;

namespace OutageReplay.Acts;

/// <summary>
/// The outage: a connection per request, and the client closes first. Each request then costs the client one local
/// port for 60 seconds (tcp-facts row 1).
/// </summary>
/// <param name="window">The ports to dial from, where the namespace does not say so already.</param>
internal sealed class NaiveAct(IPEndPoint server, PortWindow? window) : IAct
{
    private long _connects;

    public long Connects => Interlocked.Read(ref _connects);

    public async Task RequestAsync(int number, CancellationToken cancellationToken)
    {
        using var tcp = new TcpClient(server.AddressFamily);
        window?.ApplyTo(tcp.Client);
        await tcp.ConnectAsync(server, cancellationToken);
        Interlocked.Increment(ref _connects);

        NetworkStream stream = tcp.GetStream();
        string sent = $"request {number}";
        await stream.WriteAsync(Resp.Command("PING", sent), cancellationToken);

        var buffer = new byte[512];
        int received = 0;
        string reply;
        while (!Resp.TryReadBulkString(buffer.AsSpan(0, received), out reply))
        {
            int count = await stream.ReadAsync(buffer.AsMemory(received), cancellationToken);
            received += count > 0 ? count : throw new EndOfStreamException("The server closed the connection.");
        }

        if (reply != sent)
        {
            throw new InvalidDataException($"Asked '{sent}', got '{reply}'.");
        }
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
