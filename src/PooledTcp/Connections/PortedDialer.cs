using System.Net;
using System.Net.Sockets;
using PooledTcp.Ports;

namespace PooledTcp.Connections;

/// <summary>Connects one socket to one IP address, from a port that the ledger accounts for.</summary>
internal sealed class PortedDialer(LocalPorts ports)
{
    /// <summary>
    /// Tries the source addresses that still have ports, least used first. On failure nothing is left open, and nothing is
    /// left in the ledger.
    /// </summary>
    /// <exception cref="NoLocalPortException">No source has a port for this destination.</exception>
    /// <exception cref="SocketException">The destination refused, or the address cannot be used from here.</exception>
    public async ValueTask<ConnectedSocket> ConnectAsync(PortPolicy policy, IPEndPoint destination, CancellationToken cancellationToken)
    {
        SocketException? last = null;
        PortCensus? census;
        while (ports.Planner.TryBegin(policy, destination, out PortAccount? account, out census))
        {
            // A tuple that turns out to be exhausted is marked in the ledger, so the next round gets another source, or none.
            PortDiagnosis? exhausted = null;
            Socket socket = new(destination.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                ports.Planner.Prepare(socket, account);
                await socket.ConnectAsync(destination, cancellationToken).ConfigureAwait(false);
                ConnectedSocket connected = new(socket, account);
                ports.Ledger.Connected(account);
                return connected;
            }
            catch (SocketException e) when (PortWatch.IsAboutPorts(e.SocketErrorCode))
            {
                socket.Dispose();
                PortDiagnosis diagnosis = await ports.Watch.DiagnoseAsync(e, account).ConfigureAwait(false);
                ports.Ledger.ConnectFailed(account);
                if (diagnosis.Failure != PortFailure.Exhausted)
                {
                    throw;
                }

                exhausted = diagnosis;
                last = e;
            }
            catch
            {
                // At once: a cancelled connect keeps its port until then (tcp-facts section 2).
                socket.Dispose();
                ports.Ledger.ConnectFailed(account);
                throw;
            }

            census = exhausted?.Census;
            if (policy.SourceAddresses.Count == 0)
            {
                break;
            }
        }

        throw new NoLocalPortException(census?.ToString() ?? $"none to {destination}", last);
    }

    /// <summary>A socket that a connect callback made: its port is accounted for from here on, wherever it came from.</summary>
    public ConnectedSocket Adopt(Socket socket)
    {
        if (!ConnectedSocket.IsTcp(socket) || socket.RemoteEndPoint is not IPEndPoint remote)
        {
            return new ConnectedSocket(socket);
        }

        KernelPortSettings kernel = ports.Kernel.Current;
        PortAccount account = ports.Ledger.Connecting(PortTuple.To(remote), kernel.AssumedRange, kernel.CountUsable(kernel.AssumedRange));
        ports.Ledger.Connected(account);
        return new ConnectedSocket(socket, account);
    }

    /// <summary>A connection that failed before it came to the pool (TLS): quietly, and out of the books.</summary>
    public void GiveUp(ConnectedSocket socket)
    {
        socket.ForgetAfterFin();
        ((IClosingSocket)socket).Close();
        if (socket.PortAccount is { } account)
        {
            ports.Ledger.Closing(account);
            ports.Ledger.Closed(account, PortDebt.None);
        }
    }
}
