using System.Buffers;
using System.Buffers.Text;
using System.Text;

namespace CacheService.Resp;

/// <summary>
/// One command as it goes over the wire, encoded before a connection is rented and in one buffer: a lease lasts no longer than
/// the exchange, and one send is one segment. Dispose it once, after the exchange: a retry sends it again.
/// </summary>
internal readonly struct RespCommand : IDisposable
{
    // "$" or "*", the digits of an int, and a line end.
    private const int LengthLine = 1 + 10 + 2;

    private readonly byte[] _buffer;
    private readonly int _length;

    private RespCommand(byte[] buffer, int length)
    {
        _buffer = buffer;
        _length = length;
    }

    public ReadOnlyMemory<byte> Bytes => _buffer.AsMemory(0, _length);

    public static RespCommand Create(ReadOnlySpan<byte> verb)
    {
        var writer = new Writer(verb.Length + (2 * LengthLine) + 2);
        writer.WriteCount(1);
        writer.WriteBulk(verb);
        return writer.ToCommand();
    }

    public static RespCommand Create(ReadOnlySpan<byte> verb, string key)
    {
        var writer = new Writer(verb.Length + Encoding.UTF8.GetMaxByteCount(key.Length) + (3 * LengthLine) + 4);
        writer.WriteCount(2);
        writer.WriteBulk(verb);
        writer.WriteBulk(key);
        return writer.ToCommand();
    }

    public static RespCommand Create(ReadOnlySpan<byte> verb, string key, in ReadOnlySequence<byte> value)
    {
        int valueLength = checked((int)value.Length);
        var writer = new Writer(checked(verb.Length + Encoding.UTF8.GetMaxByteCount(key.Length) + valueLength + (4 * LengthLine) + 6));
        writer.WriteCount(3);
        writer.WriteBulk(verb);
        writer.WriteBulk(key);
        writer.WriteBulk(value, valueLength);
        return writer.ToCommand();
    }

    public void Dispose() => ArrayPool<byte>.Shared.Return(_buffer);

    private ref struct Writer(int capacity)
    {
        private readonly byte[] _buffer = ArrayPool<byte>.Shared.Rent(capacity);
        private int _position;

        public void WriteCount(int count) => WriteLength((byte)'*', count);

        public void WriteBulk(ReadOnlySpan<byte> bytes)
        {
            WriteLength((byte)'$', bytes.Length);
            bytes.CopyTo(_buffer.AsSpan(_position));
            _position += bytes.Length;
            WriteLineEnd();
        }

        public void WriteBulk(string text)
        {
            WriteLength((byte)'$', Encoding.UTF8.GetByteCount(text));
            _position += Encoding.UTF8.GetBytes(text, _buffer.AsSpan(_position));
            WriteLineEnd();
        }

        public void WriteBulk(in ReadOnlySequence<byte> bytes, int length)
        {
            WriteLength((byte)'$', length);
            bytes.CopyTo(_buffer.AsSpan(_position));
            _position += length;
            WriteLineEnd();
        }

        public readonly RespCommand ToCommand() => new(_buffer, _position);

        private void WriteLength(byte type, int length)
        {
            _buffer[_position++] = type;
            Utf8Formatter.TryFormat(length, _buffer.AsSpan(_position), out int digits);
            _position += digits;
            WriteLineEnd();
        }

        private void WriteLineEnd()
        {
            _buffer[_position++] = (byte)'\r';
            _buffer[_position++] = (byte)'\n';
        }
    }
}
