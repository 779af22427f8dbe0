using System.Net;
using System.Net.Sockets;
using PooledTcp.Benchmarks.Contenders;
using PooledTcp.LoadTest.Servers;
using PooledTcp.LoadTest.Statistics;

namespace PooledTcp.LoadTest.Contenders;

/// <summary>The pool that is written by hand: no check, no limit on dials, no way to tell a dirty socket.</summary>
internal sealed class SemaphoreContender(IPEndPoint server, Wire wire, int connections) : Contender("SemaphoreSlim + stack")
{
    private readonly SemaphoreStackPool<Socket> _pool = new(connections, () => new(SocketContender.ConnectAsync(server)));

    public override Task OpenAsync() => _pool.WarmUpAsync();

    public override async Task WorkAsync(Worker worker)
    {
        byte[] buffer = new byte[wire.ReplyLength];
        while (worker.Goes)
        {
            Socket socket = await _pool.RentAsync();
            await socket.SendAsync(wire.Request.AsMemory());
            int received = 0;
            while (received < buffer.Length)
            {
                int count = await socket.ReceiveAsync(buffer.AsMemory(received));
                received += count > 0 ? count : throw new EndOfStreamException("The server closed before it had answered.");
            }

            _pool.Return(socket);
            worker.Done();
        }
    }

    protected override ValueTask CloseAsync()
    {
        _pool.Dispose();
        return default;
    }
}
