using System.Buffers;
using System.Net.Sockets;

namespace PooledTcp.Connections;

/// <summary>The moves a close is made of. Which of them, and in which order, is the closing decision's; none of them blocks.</summary>
internal sealed partial class ConnectedSocket
{
    private const int ProtocolTcp = 6;
    private const int OptionLinger2 = 8;
    private const int OptionUserTimeout = 18;
    private const int DrainBuffer = 4096;

    /// <summary>TCP_LINGER2 = -1 makes the kernel forget the connection once our FIN is acknowledged (tcp-facts row 9).</summary>
    public static bool QuietSupported { get; } = OperatingSystem.IsLinux();

    /// <summary>What the kernel knows right now. A socket that cannot be asked any more counts as reset.</summary>
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

    /// <summary>Reads and drops what the kernel has: closing over unread bytes would turn the FIN into an RST (tcp-facts row 5).</summary>
    public void DrainNow()
    {
        Span<byte> dropped = stackalloc byte[1024];
        for (int i = 0; i < MaxDrain / 1024; i++)
        {
            if (_socket.Receive(dropped, SocketFlags.None, out SocketError error) <= 0 || error != SocketError.Success)
            {
                return;
            }
        }
    }

    /// <summary>
    /// Reads and drops until the peer's FIN: true when it came, false when the token fired, the peer sent more than
    /// <see cref="MaxDrain"/>, or the connection broke. The pending receive has ended by then, so a close still sends FIN.
    /// </summary>
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

    /// <summary>Half of a close: our FIN.</summary>
    public void ShutdownSend() => Try(static socket => socket.Shutdown(SocketShutdown.Send));

    /// <summary>From now on a peer that vanished holds the port this long, not the kernel's 107 s (tcp-facts row 12).</summary>
    public void LimitUnacknowledged(TimeSpan timeout)
    {
        if (_hasTcpInfo)
        {
            int milliseconds = (int)Math.Clamp(timeout.TotalMilliseconds, 1, int.MaxValue);
            Try(socket => socket.SetRawSocketOption(ProtocolTcp, OptionUserTimeout, BitConverter.GetBytes(milliseconds)));
        }
    }

    /// <summary>The next close leaves no TIME-WAIT, unless the peer's FIN was read before it (tcp-facts rows 9, 10).</summary>
    public void ForgetAfterFin()
    {
        if (_hasTcpInfo)
        {
            Try(static socket => socket.SetRawSocketOption(ProtocolTcp, OptionLinger2, BitConverter.GetBytes(-1)));
        }
    }

    /// <summary>RST, and gone. Operations in flight end with an error.</summary>
    public void Abort()
    {
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
