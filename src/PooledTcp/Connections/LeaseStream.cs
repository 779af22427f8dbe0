namespace PooledTcp.Connections;

/// <summary>
/// The lease as a <see cref="Stream"/>, for code that wants one. It holds no buffer and no state of its own; disposing it
/// does not end the lease.
/// </summary>
internal sealed class LeaseStream(LeaseHandle handle, long version, ReadStyle style) : Stream, IPerLease
{
    public long Version => version;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
        handle.ReceiveAsync(version, buffer, style, cancellationToken);

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
        handle.SendAsync(version, buffer, cancellationToken);

    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    // For the reader or writer that only has synchronous calls: it blocks its own thread, and nobody else's.
#pragma warning disable VSTHRD002
    public override int Read(byte[] buffer, int offset, int count) =>
        ReadAsync(buffer.AsMemory(offset, count)).AsTask().GetAwaiter().GetResult();

    public override void Write(byte[] buffer, int offset, int count) =>
        WriteAsync(buffer.AsMemory(offset, count)).AsTask().GetAwaiter().GetResult();
#pragma warning restore VSTHRD002

    public override void Flush() => handle.Connection.ThrowIfStale(version);

    public override Task FlushAsync(CancellationToken cancellationToken)
    {
        handle.Connection.ThrowIfStale(version);
        return Task.CompletedTask;
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();
}
