using System.Buffers;
using System.Net;
using System.Net.Sockets;
using PooledTcp.Ports;

namespace PooledTcp.Connections;

/// <summary>The moves a close is made of.</summary>
internal sealed partial class ConnectedSocket : IClosingSocket
{
    /// <summary>A peer that sends more than this after our farewell is not saying goodbye.</summary>
    private const int MaxDrain = 64 * 1024;

    private const int ProtocolTcp = 6;
    private const int OptionLinger2 = 8;
    private const int OptionUserTimeout = 18;
    private const int DrainBuffer = 4096;

    public bool IsUnix => !_isTcp;

    public bool QuietSupported => _hasTcpInfo;

    /// <summary>A socket that cannot be asked any more counts as reset.</summary>
    public SocketFacts ReadFacts(TimeSpan vanishedAfter)
    {
        try
        {
            bool unread = _socket.Available > 0;
            if (_hasTcpInfo)
            {
                return TcpInfo.Read(_socket, vanishedAfter) with { HasUnread = unread };
            }

            TcpSocketState state = _socket.Poll(0, SelectMode.SelectError) ? TcpSocketState.Close
                : IsReadable && !unread && Peek() == IdleVerdict.PeerClosed ? TcpSocketState.CloseWait
                : TcpSocketState.Established;
            return new SocketFacts { State = state, HasUnread = unread };
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            return new SocketFacts { State = TcpSocketState.Close };
        }
    }

    public void DrainNow()
    {
        if (IsClosed)
        {
            return;
        }

        // A peer that has closed sends no more: what is here is all there is, and an RST over its last bytes would take our
        // unsent ones along.
        Span<byte> dropped = stackalloc byte[1024];
        int rounds = PeerClosed ? int.MaxValue : MaxDrain / dropped.Length;
        for (int i = 0; i < rounds; i++)
        {
            if (ReceiveNow(dropped, out int received) != SocketError.Success || received <= 0)
            {
                return;
            }
        }
    }

    public async ValueTask<bool> DrainToEndAsync(CancellationToken cancellationToken)
    {
        byte[] dropped = ArrayPool<byte>.Shared.Rent(DrainBuffer);
        try
        {
            for (int total = 0; total < MaxDrain;)
            {
                int received = await _socket.ReceiveAsync(dropped, SocketFlags.None, cancellationToken).ConfigureAwait(false);
                if (received == 0)
                {
                    return true;
                }

                total += received;
            }

            return false;
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException or OperationCanceledException)
        {
            return false;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(dropped);
        }
    }

    public void ShutdownSend() => Try(static socket => socket.Shutdown(SocketShutdown.Send));

    public void LimitUnacknowledged(TimeSpan timeout)
    {
        if (_hasTcpInfo)
        {
            int milliseconds = (int)Math.Clamp(timeout.TotalMilliseconds, 1, int.MaxValue);
            Try(socket => socket.SetRawSocketOption(ProtocolTcp, OptionUserTimeout, BitConverter.GetBytes(milliseconds)));
        }
    }

    public void ForgetAfterFin()
    {
        if (_hasTcpInfo)
        {
            Try(static socket => socket.SetRawSocketOption(ProtocolTcp, OptionLinger2, BitConverter.GetBytes(-1)));
        }
    }

    public bool IsWritable
    {
        get
        {
            try
            {
                return _socket.Poll(0, SelectMode.SelectWrite);
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                return false;
            }
        }
    }

    // One that was reset is not to be found either, and owes nothing.
    public void Locate() =>
        _isLocated = Find(out _) == SockDiagStatus.Ok || (_hasTcpInfo && ReadFacts(Timeout.InfiniteTimeSpan).State == TcpSocketState.Close);

    // Closing: the two FINs have crossed, and only the peer's last ACK is missing.
    public bool LeftTimeWait => !_isLocated || Find(out TcpStates state) switch
    {
        SockDiagStatus.NotFound => false,
        SockDiagStatus.Ok => state is TcpStates.TimeWait or TcpStates.Closing,
        _ => true,
    };

    public void Abort()
    {
        // It may be under a lease, whose holder is about to be told why it failed and may want to say on which connection.
        _ = LocalEndPoint;
        if (Interlocked.Exchange(ref _closed, 1) != 0)
        {
            return;
        }

        // The one place for (true, 0): a positive time would block the closing thread (tcp-facts row 13).
#pragma warning disable RS0030
        Try(static socket => socket.LingerState = new LingerOption(true, 0));
#pragma warning restore RS0030
        _socket.Dispose();
    }

    /// <summary>
    /// Without the shutdown that <see cref="Close"/> begins with: nothing is pending here, and between a shutdown and the
    /// close the peer's FIN could come, which would make a quiet close leave a TIME-WAIT (tcp-facts row 10).
    /// </summary>
    void IClosingSocket.Close()
    {
        if (Interlocked.Exchange(ref _closed, 1) == 0)
        {
            _socket.Dispose();
        }
    }

    private SockDiagStatus Find(out TcpStates state)
    {
        state = TcpStates.None;
        if (!_hasTcpInfo || !PortAbilities.Detected.SockDiag
            || LocalEndPoint is not IPEndPoint local || RemoteEndPoint is not IPEndPoint remote)
        {
            return SockDiagStatus.NotSupported;
        }

        SockDiagResult found = SockDiag.Find(
            AddressKey.From(local.Address), local.Port, AddressKey.From(remote.Address), remote.Port, out SockDiagSocket socket);
        state = socket.State;
        return found.Status;
    }

    private void Try(Action<Socket> move)
    {
        try
        {
            move(_socket);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The peer's RST, or another close, was here first: nothing is left to be done gently.
        }
    }
}
