using System.Net;
using System.Net.Sockets;
using PooledTcp.LoadTest.Servers;
using PooledTcp.LoadTest.Statistics;

namespace PooledTcp.LoadTest.Contenders;

/// <summary>
/// Raw sockets, taken in turn: what many connections cost without any pool, by the memory that they and the kernel have for
/// each at both ends, which is out of the caches when its turn comes.
/// </summary>
internal sealed class SocketRoundContender(IPEndPoint server, int connections, int workers)
    : Contender($"raw sockets, {connections} in turn")
{
    private readonly Socket[] _sockets = new Socket[connections];
    private readonly int[] _reached = [.. Enumerable.Range(0, workers)];

    public override async Task OpenAsync()
    {
        for (int i = 0; i < connections; i++)
        {
            _sockets[i] = await SocketContender.ConnectAsync(server);
        }

        // As the keys beside it.
        new Random(KeyedRentContender.WalkSeed).Shuffle(_sockets);
    }

    public override async Task WorkAsync(Worker worker)
    {
        byte[] buffer = new byte[Wire.PayloadLength];
        int next = _reached[worker.Number];
        while (worker.Goes)
        {
            next = next + workers < connections ? next + workers : worker.Number;
            Socket socket = _sockets[next];
            await socket.SendAsync(Wire.Echo.Request.AsMemory());
            int received = 0;
            while (received < buffer.Length)
            {
                int count = await socket.ReceiveAsync(buffer.AsMemory(received));
                received += count > 0 ? count : throw new EndOfStreamException("The server closed before it had answered.");
            }

            worker.Done();
        }

        _reached[worker.Number] = next;
    }

    protected override ValueTask CloseAsync()
    {
        Array.ForEach(_sockets, static socket => socket?.Close(0));
        return default;
    }
}
