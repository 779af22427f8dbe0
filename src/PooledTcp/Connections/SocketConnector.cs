using System.Net;
using System.Net.Sockets;
using PooledTcp.Configuration;
using PooledTcp.Ports;

namespace PooledTcp.Connections;

/// <summary>
/// Dials: connect, socket options, TLS. Errors come out as the system reports them (SocketException,
/// AuthenticationException, IOException, OperationCanceledException); the pool says what they mean to a caller.
/// </summary>
internal sealed class SocketConnector : IConnector
{
    private readonly string _endpointName;
    private readonly PortedDialer _dialer;
    private readonly AddressRacer _racer;
    private readonly Func<TcpConnectContext, CancellationToken, ValueTask<Socket>>? _connectCallback;
    private readonly Func<double> _nextRandom;

    /// <param name="endpointName">What a connect callback is told.</param>
    /// <param name="connectCallback">Replaces the connect.</param>
    /// <param name="ports">Where local ports are accounted for.</param>
    /// <param name="time">The clock of the delay between two addresses; the system's when null.</param>
    /// <param name="nextRandom">0 to 1, for the jitter of keepalives; the system's when null.</param>
    public SocketConnector(
        string endpointName,
        Func<TcpConnectContext, CancellationToken, ValueTask<Socket>>? connectCallback,
        LocalPorts ports,
        TimeProvider? time = null,
        Func<double>? nextRandom = null)
    {
        _dialer = new PortedDialer(ports);
        _racer = new AddressRacer(_dialer, time ?? TimeProvider.System);
        _endpointName = endpointName;
        _connectCallback = connectCallback;
        _nextRandom = nextRandom ?? Random.Shared.NextDouble;
    }

    public async ValueTask<Transport> ConnectAsync(PoolSettings settings, DialRace race, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        ConnectedSocket socket = _connectCallback is null && race.Targets[0].EndPoint is IPEndPoint
            ? await _racer.ConnectAsync(settings, race, cancellationToken).ConfigureAwait(false)
            : await ConnectOnlyAsync(settings, race, cancellationToken).ConfigureAwait(false);
        try
        {
            socket.Tune(settings.Socket, _nextRandom());
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

    /// <summary>The one target there is: the callback's, or a unix socket.</summary>
    private async ValueTask<ConnectedSocket> ConnectOnlyAsync(PoolSettings settings, DialRace race, CancellationToken cancellationToken)
    {
        race.Started(0);
        ConnectedSocket socket = _connectCallback is null
            ? await DialUnixAsync(race.Targets[0].EndPoint, cancellationToken).ConfigureAwait(false)
            : await AdoptAsync(_connectCallback, settings.Address, cancellationToken).ConfigureAwait(false);
        race.Won(0);
        return socket;
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
