using System.Buffers;
using System.Text;

namespace CacheService.Resp;

/// <summary>What kind of reply it is.</summary>
internal enum RespKind
{
    Simple,
    Error,
    Integer,
    Bulk,
    Null,
}

/// <summary>One whole reply, in a buffer of the array pool that it owns: dispose it once.</summary>
internal readonly struct RespReply : IDisposable
{
    private readonly byte[] _buffer;
    private readonly RespFrame _frame;

    public RespReply(byte[] buffer, in RespFrame frame)
    {
        _buffer = buffer;
        _frame = frame;
    }

    public RespKind Kind => _frame.Kind;

    /// <summary>The value of an integer reply.</summary>
    public long Number => _frame.Number;

    /// <summary>The bytes of a bulk string, or the text of a simple string or an error.</summary>
    public ReadOnlyMemory<byte> Payload => _buffer.AsMemory(_frame.Start, _frame.Length);

    public string Text => Encoding.UTF8.GetString(Payload.Span);

    public void Dispose() => ArrayPool<byte>.Shared.Return(_buffer);
}
