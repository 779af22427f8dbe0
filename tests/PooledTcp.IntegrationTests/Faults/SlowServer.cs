using System.Buffers;
using System.Net.Sockets;
using PooledTcp.IntegrationTests.Resp;
using PooledTcp.IntegrationTests.Servers;

namespace PooledTcp.IntegrationTests.Faults;

/// <summary>
/// Answers ECHO after a fixed time, one command per connection at a time: its capacity is the number of connections over
/// that time, and hardly depends on how busy the machine is.
/// </summary>
internal sealed class SlowServer(TimeSpan service) : LineServer
{
    private int _answered;

    /// <summary>Commands answered so far.</summary>
    public int Answered => Volatile.Read(ref _answered);

    protected override async Task ServeAsync(Socket client, CancellationToken cancellationToken)
    {
        client.NoDelay = true;
        var reader = new RespReader(client.ReceiveAsync);
        while (true)
        {
            RespReply command = await reader.ReadAsync(cancellationToken);
            await Task.Delay(service, cancellationToken);
            byte[] text = command.Items[1].Bytes!;
            var reply = new ArrayBufferWriter<byte>();
            reply.Write(System.Text.Encoding.ASCII.GetBytes($"${text.Length}\r\n"));
            reply.Write(text);
            reply.Write("\r\n"u8);
            await client.SendAsync(reply.WrittenMemory, cancellationToken);
            Interlocked.Increment(ref _answered);
        }
    }
}
