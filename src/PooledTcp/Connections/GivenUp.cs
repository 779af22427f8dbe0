using PooledTcp.Configuration;
using PooledTcp.Ports;

namespace PooledTcp.Connections;

/// <summary>The end of a connection that never came to the pool: its TLS or its handshake failed, or it came too late.</summary>
internal static class GivenUp
{
    /// <summary>
    /// Closes it and takes it out of the books: quietly, or by RST where the peer is gone, since a FIN would hold the port
    /// until the kernel gives up (tcp-facts row 12).
    /// </summary>
    /// <param name="socket">The connection.</param>
    /// <param name="account">Its page in the ledger, if it has one.</param>
    /// <param name="ledger">The books.</param>
    /// <param name="settings">On which it was dialed.</param>
    public static void Close(IClosingSocket socket, PortAccount? account, PortLedger ledger, PoolSettings settings)
    {
        bool leftTimeWait = CloseSocket(socket, settings);
        if (account is not null)
        {
            ledger.Closing(account);
            ledger.Closed(account, leftTimeWait ? PortDebt.TimeWait : PortDebt.None);
        }
    }

    private static bool CloseSocket(IClosingSocket socket, PoolSettings settings)
    {
        if (socket.ReadFacts(settings.Socket.KeepAliveTotal).Vanished)
        {
            socket.Abort();
            return false;
        }

        socket.LimitUnacknowledged(settings.Shutdown.DrainTimeout);
        socket.DrainNow();
        socket.Locate();
        socket.ForgetAfterFin();
        socket.Close();
        return socket.LeftTimeWait;
    }
}
