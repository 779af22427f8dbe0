using System.Net;
using PooledTcp.Configuration;
using PooledTcp.Connections;

namespace PooledTcp.Benchmarks;

/// <summary>A connection without a socket: what is measured is the pool, not the kernel.</summary>
internal sealed class NullTransport : Transport, IConnector
{
    public override EndPoint? LocalEndPoint => null;

    public override EndPoint? RemoteEndPoint => null;

    public override bool PeerClosed => false;

    public override bool NeedsParking => false;

    public override ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken) => new(buffer.Length);

    public override ValueTask SendAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken) => default;

    public override bool TryPark() => true;

    public override IdleVerdict CheckIdle() => IdleVerdict.Clean;

    public override void Close()
    {
    }

    public ValueTask<Transport> ConnectAsync(PoolSettings settings, CancellationToken cancellationToken) => new(new NullTransport());
}
