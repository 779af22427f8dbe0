using System.Net;
using System.Net.Sockets;
using PooledTcp.Configuration;

namespace PooledTcp.Connections;

/// <summary>
/// Dials: name resolution, connect, socket options, TLS. Errors come out as the system reports them (SocketException,
/// AuthenticationException, IOException, OperationCanceledException); the pool says what they mean to a caller.
/// </summary>
internal sealed class SocketConnector : IConnector
{
    private readonly string _endpointName;
    private readonly Func<TcpConnectContext, CancellationToken, ValueTask<Socket>>? _connectCallback;
    private readonly Func<string, CancellationToken, Task<IPAddress[]>> _resolve;

    /// <param name="endpointName">What a connect callback is told.</param>
    /// <param name="connectCallback">Replaces resolution and connect.</param>
    /// <param name="resolve">The addresses of a name; the system's resolver when null.</param>
    public SocketConnector(
        string endpointName,
        Func<TcpConnectContext, CancellationToken, ValueTask<Socket>>? connectCallback,
        Func<string, CancellationToken, Task<IPAddress[]>>? resolve = null)
    {
        _endpointName = endpointName;
        _connectCallback = connectCallback;
        _resolve = resolve ?? Dns.GetHostAddressesAsync;
    }

    public async ValueTask<Transport> ConnectAsync(PoolSettings settings, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        Socket socket = _connectCallback is null
            ? await DialAsync(settings.Address, cancellationToken).ConfigureAwait(false)
            : await AskCallbackAsync(_connectCallback, settings.Address, cancellationToken).ConfigureAwait(false);
        try
        {
            SocketTuning.Apply(socket, settings.Socket);
            var connected = new ConnectedSocket(socket);
            return settings.Tls is null
                ? new SocketTransport(connected)
                : await TlsTransport.AuthenticateAsync(connected, settings.Tls, cancellationToken).ConfigureAwait(false);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private async ValueTask<Socket> DialAsync(EndpointAddress address, CancellationToken cancellationToken)
    {
        // A literal is dialed in its own family: a dual-mode socket would be counted in the IPv6 tables (tcp-facts section 3).
        EndPoint endPoint = address.ToEndPoint();
        if (endPoint is not DnsEndPoint)
        {
            return await DialAsync(endPoint, cancellationToken).ConfigureAwait(false);
        }

        IPAddress[] candidates = await _resolve(address.Host, cancellationToken).ConfigureAwait(false);
        SocketException lastError = new((int)SocketError.HostNotFound);
        foreach (IPAddress candidate in candidates)
        {
            try
            {
                return await DialAsync(new IPEndPoint(candidate, address.Port), cancellationToken).ConfigureAwait(false);
            }
            catch (SocketException e)
            {
                lastError = e;
            }
        }

        throw lastError;
    }

    private static async ValueTask<Socket> DialAsync(EndPoint endPoint, CancellationToken cancellationToken)
    {
        ProtocolType protocol = endPoint is IPEndPoint ? ProtocolType.Tcp : ProtocolType.Unspecified;
        var socket = new Socket(endPoint.AddressFamily, SocketType.Stream, protocol);
        try
        {
            await socket.ConnectAsync(endPoint, cancellationToken).ConfigureAwait(false);
            return socket;
        }
        catch
        {
            // At once: a cancelled connect keeps its port until then (tcp-facts section 2).
            socket.Dispose();
            throw;
        }
    }

    private async ValueTask<Socket> AskCallbackAsync(
        Func<TcpConnectContext, CancellationToken, ValueTask<Socket>> callback, EndpointAddress address, CancellationToken cancellationToken)
    {
        // On a thread of its own: a callback that blocks must not keep the dial's permit past the budget.
        TcpConnectContext context = new(_endpointName, address.ToEndPoint());
        Socket? socket = await Task.Run(() => callback(context, cancellationToken).AsTask(), CancellationToken.None).ConfigureAwait(false);
        if (socket is { Connected: true, SocketType: SocketType.Stream })
        {
            return socket;
        }

        string what = socket is null ? "null" : socket.SocketType == SocketType.Stream ? "a socket that is not connected" : "a datagram socket";
        socket?.Dispose();
        throw new InvalidOperationException(
            $"The connect callback of endpoint '{_endpointName}' returned {what}: it must return a connected stream socket.");
    }
}
