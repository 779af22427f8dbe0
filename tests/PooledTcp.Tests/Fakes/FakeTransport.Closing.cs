using System.Collections.Concurrent;
using PooledTcp.Connections;
using PooledTcp.Ports;

namespace PooledTcp.Tests.Fakes;

/// <summary>
/// The moves a close is made of: noted in their order, and each can be held or made to fail. By itself the peer answers our
/// FIN or farewell at once with its own.
/// </summary>
internal sealed partial class FakeTransport : IClosingSocket
{
    private readonly ConcurrentQueue<string> _moves = new();
    private readonly TaskCompletionSource _peerEnd = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private bool _sentFin;
    private bool? _leftTimeWait;

    /// <summary>What the kernel would say of it when it is closed.</summary>
    public SocketFacts Facts { get; set; } = new() { State = TcpSocketState.Established };

    public PortAccount? Account { get; set; }

    public bool IsUnix { get; set; }

    public bool QuietSupported { get; set; } = true;

    public bool IsTls { get; set; }

    /// <summary>By itself what rows 1 and 2 say: ours if our FIN was answered.</summary>
    public bool LeftTimeWait
    {
        get => _leftTimeWait ?? (_sentFin && (!PeerHoldsOn || _peerEnd.Task.IsCompleted));
        set => _leftTimeWait = value;
    }

    public bool IsWritable { get; set; } = true;

    /// <summary>The peer does not close until <see cref="PeerCloses"/>.</summary>
    public bool PeerHoldsOn { get; set; }

    /// <summary>A farewell does not leave: the peer's window is full.</summary>
    public bool HoldFarewells { get; set; }

    /// <summary>The move that breaks the contract and throws.</summary>
    public string? ThrowsAt { get; set; }

    /// <summary>How often the descriptor was closed: once, by contract, whoever comes first.</summary>
    public int Closings { get; private set; }

    /// <summary>So far, in order, with a space between two.</summary>
    public string Moves => string.Join(' ', _moves);

    public override PortAccount? PortAccount => Account;

    public override bool SupportsQuietClose => QuietSupported && !IsUnix;

    public override bool HasCloseNotify => IsTls;

    public void PeerCloses() => _peerEnd.TrySetResult();

    public override IClosingSocket BeginClosing() => this;

    public override async ValueTask SendFarewellAsync(ReadOnlyMemory<byte> farewell, CancellationToken cancellationToken)
    {
        Note(farewell.IsEmpty ? "close_notify" : "farewell");
        if (HoldFarewells)
        {
            await new TaskCompletionSource().Task.WaitAsync(cancellationToken);
        }
    }

    public SocketFacts ReadFacts(TimeSpan vanishedAfter)
    {
        if (string.Equals(ThrowsAt, "facts", StringComparison.Ordinal))
        {
            throw new InvalidOperationException("facts");
        }

        // As a socket that cannot be asked any more.
        return IsClosed ? new SocketFacts { State = TcpSocketState.Close } : Facts;
    }

    public void DrainNow() => Note("drain");

    public async ValueTask<bool> DrainToEndAsync(CancellationToken cancellationToken)
    {
        Note("wait");
        if (!PeerHoldsOn)
        {
            return true;
        }

        try
        {
            await _peerEnd.Task.WaitAsync(cancellationToken);
            return true;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    public void ShutdownSend()
    {
        Note("fin");
        _sentFin = true;
    }

    public void LimitUnacknowledged(TimeSpan timeout) => Note("limit");

    public void Locate()
    {
    }

    public void ForgetAfterFin() => Note("forget");

    public void Abort()
    {
        Note("abort");
        Close();
    }

    void IClosingSocket.Close()
    {
        Note("close");
        Close();
    }

    private void Note(string move)
    {
        _moves.Enqueue(move);
        if (string.Equals(ThrowsAt, move, StringComparison.Ordinal))
        {
            throw new InvalidOperationException(move);
        }
    }
}
