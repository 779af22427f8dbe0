using System.Net;
using System.Net.Sockets;
using PooledTcp.Configuration;
using PooledTcp.Ports;

namespace PooledTcp.Connections;

/// <summary>
/// Dials: name resolution, connect, socket options, TLS. Errors come out as the system reports them (SocketException,
/// AuthenticationException, IOException, OperationCanceledException); the pool says what they mean to a caller.
/// </summary>
internal sealed class SocketConnector : IConnector
{
    private readonly string _endpointName;
    private readonly PortedDialer _dialer;
    private readonly Func<TcpConnectContext, CancellationToken, ValueTask<Socket>>? _connectCallback;
    private readonly Func<string, CancellationToken, Task<IPAddress[]>> _resolve;

    /// <param name="endpointName">What a connect callback is told.</param>
    /// <param name="connectCallback">Replaces resolution and connect.</param>
    /// <param name="ports">Where local ports are accounted for.</param>
    /// <param name="resolve">The addresses of a name; the system's resolver when null.</param>
    public SocketConnector(
        string endpointName,
        Func<TcpConnectContext, CancellationToken, ValueTask<Socket>>? connectCallback,
        LocalPorts ports,
        Func<string, CancellationToken, Task<IPAddress[]>>? resolve = null)
    {
        _dialer = new PortedDialer(ports);
        _endpointName = endpointName;
        _connectCallback = connectCallback;
        _resolve = resolve ?? Dns.GetHostAddressesAsync;
    }

    public async ValueTask<Transport> ConnectAsync(PoolSettings settings, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        ConnectedSocket socket = _connectCallback is null
            ? await DialAsync(settings, cancellationToken).ConfigureAwait(false)
            : await AdoptAsync(_connectCallback, settings.Address, cancellationToken).ConfigureAwait(false);
        try
        {
            socket.Tune(settings.Socket);
            return settings.Tls is null
                ? new SocketTransport(socket)
                : await TlsTransport.AuthenticateAsync(socket, settings.Tls, cancellationToken).ConfigureAwait(false);
        }
        catch
        {
            _dialer.GiveUp(socket, settings);
            throw;
        }
    }

    private async ValueTask<ConnectedSocket> DialAsync(PoolSettings settings, CancellationToken cancellationToken)
    {
        switch (settings.Address.ToEndPoint())
        {
            case IPEndPoint literal:
                // In its own family: a dual-mode socket would be counted in the IPv6 tables (tcp-facts section 3).
                return await _dialer.ConnectAsync(settings.Ports, literal, cancellationToken).ConfigureAwait(false);

            case DnsEndPoint name:
                return await DialByNameAsync(settings, name, cancellationToken).ConfigureAwait(false);

            case var unix:
                return await DialUnixAsync(unix, cancellationToken).ConfigureAwait(false);
        }
    }

    private async ValueTask<ConnectedSocket> DialByNameAsync(PoolSettings settings, DnsEndPoint name, CancellationToken cancellationToken)
    {
        IPAddress[] candidates = await _resolve(name.Host, cancellationToken).ConfigureAwait(false);
        Exception lastError = new SocketException((int)SocketError.HostNotFound);
        NoLocalPortException? noPort = null;
        foreach (IPAddress candidate in candidates)
        {
            try
            {
                return await _dialer.ConnectAsync(settings.Ports, new IPEndPoint(candidate, name.Port), cancellationToken).ConfigureAwait(false);
            }
            catch (NoLocalPortException e)
            {
                noPort = e;
            }
            catch (SocketException e)
            {
                lastError = e;
            }
        }

        // An address that lacks nothing but a port is worth waiting for, whatever the others answered.
        throw noPort ?? lastError;
    }

    private static async ValueTask<ConnectedSocket> DialUnixAsync(EndPoint endPoint, CancellationToken cancellationToken)
    {
        Socket socket = new(endPoint.AddressFamily, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(endPoint, cancellationToken).ConfigureAwait(false);
            return new ConnectedSocket(socket);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private async ValueTask<ConnectedSocket> AdoptAsync(
        Func<TcpConnectContext, CancellationToken, ValueTask<Socket>> callback, EndpointAddress address, CancellationToken cancellationToken)
    {
        Socket socket = await AskCallbackAsync(callback, address, cancellationToken).ConfigureAwait(false);
        try
        {
            return _dialer.Adopt(socket);
        }
        catch
        {
            // Whoever made it may have closed it meanwhile; if not, nobody else will.
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
