namespace PooledTcp.Connections;

/// <summary>The end of a connection that never came to the pool: its TLS or its handshake failed, or it came too late.</summary>
internal static class GivenUp
{
    /// <summary>Quietly, or by RST where the peer is gone: a FIN would hold the port until the kernel gives up (tcp-facts row 12).</summary>
    /// <param name="socket">The connection.</param>
    /// <param name="vanishedAfter">With no ACK for longer than this the peer counts as gone.</param>
    /// <param name="drainTimeout">How long the FIN may go unacknowledged.</param>
    /// <returns>True when a TIME-WAIT is left of it.</returns>
    public static bool Close(IClosingSocket socket, TimeSpan vanishedAfter, TimeSpan drainTimeout)
    {
        if (socket.ReadFacts(vanishedAfter).Vanished)
        {
            socket.Abort();
            return false;
        }

        socket.LimitUnacknowledged(drainTimeout);
        socket.DrainNow();
        socket.Locate();
        socket.ForgetAfterFin();
        socket.Close();
        return socket.LeftTimeWait;
    }
}
