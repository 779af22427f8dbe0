using PooledTcp.Connections;

namespace PooledTcp.Shutdown;

/// <summary>
/// The methods, each as a sequence of moves. They return how the connection ended, or null when the method ran out of time
/// (or was escalated) and the plan's next one has its turn.
/// </summary>
internal static class CloseMoves
{
    /// <summary>The peer's FIN was read, or is next in the queue: what stands before it is dropped, then it is our turn.</summary>
    /// <param name="socket">The connection.</param>
    /// <param name="method">What is recorded.</param>
    /// <param name="limit">How long our FIN may go unacknowledged; null leaves what the connection has.</param>
    public static CloseOutcome Passive(IClosingSocket socket, CloseMethod method, TimeSpan? limit)
    {
        Limit(socket, limit);
        socket.DrainNow();
        socket.Close();
        return new CloseOutcome(method, PeerFirst: true, TimeWaitIsOurs: false);
    }

    public static async ValueTask<CloseOutcome?> GoodbyeAsync(
        Transport transport, IClosingSocket socket, ReadOnlyMemory<byte> farewell, TimeSpan? limit, CancellationToken cancellationToken)
    {
        return await TrySayAsync(transport, socket, farewell, cancellationToken).ConfigureAwait(false)
            ? await AwaitPeerAsync(socket, CloseMethod.Goodbye, limit, cancellationToken).ConfigureAwait(false)
            : null;
    }

    public static async ValueTask<CloseOutcome?> AwaitPeerAsync(
        IClosingSocket socket, CloseMethod method, TimeSpan? limit, CancellationToken cancellationToken)
    {
        if (await socket.DrainToEndAsync(cancellationToken).ConfigureAwait(false))
        {
            return Passive(socket, method, limit);
        }

        // Some servers close by RST (MariaDB its idle connections): the peer was first, nothing is owed, and the next method
        // would only be counted for what it did not do.
        return socket.ReadFacts(Timeout.InfiniteTimeSpan).State == TcpSocketState.Close ? Dispose(socket, peerFirst: true) : null;
    }

    public static async ValueTask<CloseOutcome> GracefulAsync(
        Transport transport, IClosingSocket socket, TimeSpan? limit, CancellationToken cancellationToken)
    {
        await LeadInAsync(transport, socket, limit, cancellationToken).ConfigureAwait(false);
        socket.Locate();
        socket.ShutdownSend();
        if (await socket.DrainToEndAsync(cancellationToken).ConfigureAwait(false))
        {
            socket.Close();

            // The peer's FIN may have come between the decision and ours: then the TIME-WAIT is its own (row 2).
            bool ours = socket.LeftTimeWait;
            return new CloseOutcome(CloseMethod.Graceful, PeerFirst: !ours, ours);
        }

        // The peer keeps its side open: in FIN-WAIT-2 the port would be held for a minute (tcp-facts row 11). Or somebody
        // needs the port; then the peer's FIN may be here by now, unread, and only the kernel knows what we owe.
        socket.ForgetAfterFin();
        socket.Close();
        return new CloseOutcome(CloseMethod.Graceful, PeerFirst: false, socket.LeftTimeWait);
    }

    /// <summary>The option before our FIN, and the peer's FIN never waited for: both are what keeps TIME-WAIT away (row 10).</summary>
    public static async ValueTask<CloseOutcome> QuietAsync(
        Transport transport, IClosingSocket socket, TimeSpan? limit, CancellationToken cancellationToken)
    {
        await LeadInAsync(transport, socket, limit, cancellationToken).ConfigureAwait(false);
        socket.Locate();
        socket.ForgetAfterFin();
        socket.Close();
        return new CloseOutcome(CloseMethod.Quiet, PeerFirst: false, TimeWaitIsOurs: false);
    }

    public static CloseOutcome Abort(IClosingSocket socket)
    {
        socket.Abort();
        return new CloseOutcome(CloseMethod.Abort, PeerFirst: false, TimeWaitIsOurs: false);
    }

    public static CloseOutcome Dispose(IClosingSocket socket, bool peerFirst)
    {
        socket.Close();
        return new CloseOutcome(CloseMethod.Dispose, peerFirst, TimeWaitIsOurs: false);
    }

    /// <summary>What comes before every FIN of ours: unread bytes go (a FIN over them would be an RST), TLS says close_notify.</summary>
    private static async ValueTask LeadInAsync(
        Transport transport, IClosingSocket socket, TimeSpan? limit, CancellationToken cancellationToken)
    {
        Limit(socket, limit);
        if (transport.HasCloseNotify)
        {
            // Politeness, not protocol: the FIN follows all the same.
            await TrySayAsync(transport, socket, ReadOnlyMemory<byte>.Empty, cancellationToken).ConfigureAwait(false);
        }

        socket.DrainNow();
    }

    /// <summary>
    /// A farewell, or close_notify when it is empty. SslStream cannot be told to give a close_notify up, and a close over a
    /// send that is still pending is an RST: where the peer's window is full, it is not begun.
    /// </summary>
    private static async ValueTask<bool> TrySayAsync(
        Transport transport, IClosingSocket socket, ReadOnlyMemory<byte> farewell, CancellationToken cancellationToken)
    {
        if (farewell.IsEmpty && !socket.IsWritable)
        {
            return false;
        }

        try
        {
            await transport.SendFarewellAsync(farewell, cancellationToken).ConfigureAwait(false);
            return true;
        }
        catch (Exception e) when (e is IOException or System.Net.Sockets.SocketException or ObjectDisposedException or OperationCanceledException)
        {
            return false;
        }
    }

    private static void Limit(IClosingSocket socket, TimeSpan? limit)
    {
        if (limit is { } timeout)
        {
            socket.LimitUnacknowledged(timeout);
        }
    }
}
