using System.Net;
using System.Net.Sockets;
using PooledTcp.Configuration;
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
        NoPort noPort = default;
        SocketException? unusable = null;
        HashSet<AddressKey>? failed = null;
        while (true)
        {
            if (!ports.Planner.TryBegin(policy, destination, out PortAccount? account, out PortCensus? census))
            {
                noPort = new NoPort(true, noPort.Error, noPort.Census ?? census);
                break;
            }

            // A tuple that fails is marked in the ledger, so the next round gets another source. Each one once: where none
            // works the planner offers one all the same, and a port given back clears the mark, which is no reason to pay for
            // another failing connect here.
            if (failed?.Contains(account.Tuple.Source) == true)
            {
                ports.Ledger.ConnectFailed(account);
                break;
            }

            Attempt attempt = await TryConnectAsync(account, destination, cancellationToken).ConfigureAwait(false);
            if (attempt.Connected is { } connected)
            {
                return connected;
            }

            (failed ??= []).Add(account.Tuple.Source);
            if (attempt.Diagnosis.Failure == PortFailure.Exhausted)
            {
                noPort = new NoPort(true, attempt.Error, attempt.Diagnosis.Census);
            }
            else
            {
                unusable = Explain(attempt.Error!, account);
            }
        }

        // A port comes back, an address does not: as long as one source lacks nothing but a port, its waiter goes on waiting.
        throw noPort.IsReason || unusable is null
            ? new NoLocalPortException(noPort.Census?.ToString() ?? $"none to {destination}", noPort.Error)
            : unusable;
    }

    /// <summary>A socket that a connect callback made: its port is accounted for from here on, wherever it came from.</summary>
    public ConnectedSocket Adopt(Socket socket)
    {
        if (!ConnectedSocket.IsTcp(socket) || ConnectedSocket.PeerOf(socket) is not IPEndPoint remote)
        {
            return new ConnectedSocket(socket);
        }

        // How it closes is decided here: a linger time of the callback's would block the closing thread, or make every FIN
        // an RST (tcp-facts rows 4 and 13).
#pragma warning disable RS0030 // not a positive time, which is what is banned
        socket.LingerState = new LingerOption(false, 0);
#pragma warning restore RS0030

        KernelPortSettings kernel = ports.Kernel.Current;
        PortAccount account = ports.Ledger.Connecting(PortTuple.To(remote), kernel.AssumedRange, kernel.CountUsable(kernel.AssumedRange));
        try
        {
            ConnectedSocket connected = new(socket, account);
            ports.Ledger.Connected(account);
            return connected;
        }
        catch
        {
            ports.Ledger.ConnectFailed(account);
            throw;
        }
    }

    /// <summary>A connection that failed before it came to the pool (TLS): quietly, and out of the books.</summary>
    public void GiveUp(ConnectedSocket socket, PoolSettings settings) =>
        GivenUp.Close(socket, socket.PortAccount, ports.Ledger, settings);

    /// <summary>Throws what is not about ports. Whatever happens, the ledger's dial has ended and a failed socket is closed.</summary>
    private async ValueTask<Attempt> TryConnectAsync(PortAccount account, IPEndPoint destination, CancellationToken cancellationToken)
    {
        Socket? socket = null;
        try
        {
            socket = new Socket(destination.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            ports.Planner.Prepare(socket, account);
            await socket.ConnectAsync(destination, cancellationToken).ConfigureAwait(false);
            ConnectedSocket connected = new(socket, account, destination);
            ports.Ledger.Connected(account);
            return new Attempt(connected, null, default);
        }
        catch (SocketException e) when (PortWatch.IsAboutPorts(e.SocketErrorCode))
        {
            socket?.Dispose();
            try
            {
                return new Attempt(null, e, await ports.Watch.DiagnoseAsync(e, account).ConfigureAwait(false));
            }
            finally
            {
                ports.Ledger.ConnectFailed(account);
            }
        }
        catch
        {
            // At once: a cancelled connect keeps its port until then (tcp-facts section 2).
            socket?.Dispose();
            ports.Ledger.ConnectFailed(account);
            throw;
        }
    }

    /// <summary>The kernel says only that an address cannot be assigned, and not which.</summary>
    private static SocketException Explain(SocketException error, PortAccount account)
    {
        IPEndPoint destination = new(account.Tuple.Destination.ToIPAddress(), account.Tuple.Port);
        return new SocketException(
            (int)error.SocketErrorCode,
            account.Tuple.Source.IsAny
                ? $"No address of this host can reach {destination}: {error.Message}"
                : $"The source address {account.Tuple.Source} (Ports.SourceAddresses) cannot reach {destination}: {error.Message}");
    }

    private readonly record struct Attempt(ConnectedSocket? Connected, SocketException? Error, PortDiagnosis Diagnosis);

    private readonly record struct NoPort(bool IsReason, SocketException? Error, PortCensus? Census);
}
