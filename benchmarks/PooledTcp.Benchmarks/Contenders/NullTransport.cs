using System.Net;
using PooledTcp.Configuration;
using PooledTcp.Connections;

namespace PooledTcp.Benchmarks.Contenders;

/// <summary>A connection without a socket: what is measured is the pool, not the kernel.</summary>
internal sealed class NullTransport : Transport, IConnector, IClosingSocket
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

    public bool IsUnix => true;

    public bool QuietSupported => false;

    public override bool SupportsQuietClose => false;

    public override bool HasCloseNotify => false;

    public override IClosingSocket BeginClosing() => this;

    public override ValueTask SendFarewellAsync(ReadOnlyMemory<byte> farewell, CancellationToken cancellationToken) => default;

    public bool LeftTimeWait => false;

    public bool IsWritable => true;

    public void Locate()
    {
    }

    public SocketFacts ReadFacts(TimeSpan vanishedAfter) => default;

    public void DrainNow()
    {
    }

    public ValueTask<bool> DrainToEndAsync(CancellationToken cancellationToken) => new(true);

    public void ShutdownSend()
    {
    }

    public void LimitUnacknowledged(TimeSpan timeout)
    {
    }

    public void ForgetAfterFin()
    {
    }

    public void Abort()
    {
    }

    public ValueTask<Transport> ConnectAsync(PoolSettings settings, DialRace race, CancellationToken cancellationToken)
    {
        race.Won(0);
        return new ValueTask<Transport>(new NullTransport());
    }
}
