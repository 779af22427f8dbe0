using System.Buffers;
using System.IO.Pipelines;

namespace PooledTcp.IntegrationTests.Resp;

/// <summary>Reads replies through whatever receives bytes: a lease, its stream, or a plain socket.</summary>
internal sealed class RespReader(Func<Memory<byte>, CancellationToken, ValueTask<int>> receive)
{
    private byte[] _buffer = new byte[4096];
    private int _start;
    private int _end;

    /// <summary>Bytes received that belong to no reply read so far.</summary>
    public int Unread => _end - _start;

    public async ValueTask<RespReply> ReadAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var unread = new ReadOnlySequence<byte>(_buffer, _start, _end - _start);
            if (RespReply.TryParse(ref unread, out RespReply? reply))
            {
                _start = _end - (int)unread.Length;
                return reply!;
            }

            MakeRoom();
            int received = await receive(_buffer.AsMemory(_end), cancellationToken);
            _end += received > 0 ? received : throw new EndOfStreamException("The server closed the connection.");
        }
    }

    public static async ValueTask<RespReply> ReadAsync(PipeReader pipe, CancellationToken cancellationToken)
    {
        while (true)
        {
            ReadResult result = await pipe.ReadAsync(cancellationToken);
            ReadOnlySequence<byte> unread = result.Buffer;
            if (RespReply.TryParse(ref unread, out RespReply? reply))
            {
                pipe.AdvanceTo(unread.Start);
                return reply!;
            }

            pipe.AdvanceTo(unread.Start, unread.End);
            if (result.IsCompleted)
            {
                throw new EndOfStreamException("The server closed the connection.");
            }
        }
    }

    private void MakeRoom()
    {
        if (_start > 0)
        {
            _buffer.AsSpan(_start, Unread).CopyTo(_buffer);
            _end -= _start;
            _start = 0;
        }

        if (_end == _buffer.Length)
        {
            Array.Resize(ref _buffer, _buffer.Length * 2);
        }
    }
}
