namespace PooledTcp.Connections;

/// <summary>
/// Follows the record headers (type, version, length: 5 bytes, the same in TLS 1.0 to 1.3) in what SslStream was given.
/// SslStream keeps a partial record to itself and cannot be asked about it; here it shows as "not at a boundary".
/// </summary>
internal struct TlsRecordTracker
{
    private const int LengthHighByte = 3;
    private const int LengthLowByte = 4;

    private int _headerBytes;
    private int _lengthHigh;
    private int _bodyLeft;

    /// <summary>True when every record that was begun is complete.</summary>
    public readonly bool AtBoundary => _headerBytes == 0 && _bodyLeft == 0;

    public void Advance(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            if (_bodyLeft > 0)
            {
                int step = Math.Min(_bodyLeft, bytes.Length);
                _bodyLeft -= step;
                bytes = bytes[step..];
                continue;
            }

            byte header = bytes[0];
            bytes = bytes[1..];
            switch (_headerBytes++)
            {
                case LengthHighByte:
                    _lengthHigh = header << 8;
                    break;
                case LengthLowByte:
                    _bodyLeft = _lengthHigh | header;
                    _headerBytes = 0;
                    break;
                default:
                    break;
            }
        }
    }
}
