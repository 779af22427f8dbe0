using CacheService.Resp;

namespace CacheService.Cache;

/// <summary>A value in a buffer of the array pool; dispose it when it was written.</summary>
internal sealed class CacheValue : IDisposable
{
    private readonly RespReply _reply;
    private bool _disposed;

    public CacheValue(RespReply reply) => _reply = reply;

    public ReadOnlyMemory<byte> Bytes
    {
        get
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            return _reply.Payload;
        }
    }

    public void Dispose()
    {
        // Twice would put one buffer into the array pool twice, for two owners.
        if (!_disposed)
        {
            _disposed = true;
            _reply.Dispose();
        }
    }
}
