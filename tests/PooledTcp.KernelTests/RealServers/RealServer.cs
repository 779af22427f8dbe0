namespace PooledTcp.KernelTests.RealServers;

/// <summary>
/// A server that other people wrote, and enough of its protocol for one true exchange. As a handshake it logs in, so that
/// a farewell is said in the state in which a pool would say it.
/// </summary>
public abstract class RealServer : ITcpHandshake
{
    /// <summary>The name of its Debian package, which is its name in the table, too.</summary>
    public abstract string Name { get; }

    /// <summary>What goes into <see cref="TcpShutdownOptions.Goodbye"/>; null where the protocol has none.</summary>
    public abstract string? Goodbye { get; }

    /// <summary>How it ends connections that were idle for the seconds that its configuration says.</summary>
    public virtual IdleClose IdleClose => IdleClose.Fin;

    /// <summary>Why it cannot be started here, in words; null when it can.</summary>
    public abstract string? FindObstacle();

    /// <summary>Starts one that listens on <paramref name="address"/> and answers. Disposing the result ends it, and it alone.</summary>
    /// <param name="address">An address of the namespace.</param>
    /// <param name="port">Below the ephemeral range.</param>
    /// <param name="idleTimeout">When it is to close idle connections; null for its default, which is a minute or more for all.</param>
    public abstract Task<IAsyncDisposable> StartAsync(string address, int port, TimeSpan? idleTimeout);

    /// <summary>Greeting and login; nothing where the protocol has neither.</summary>
    public virtual ValueTask<object?> HandshakeAsync(TcpLease connection, CancellationToken cancellationToken) => default;

    /// <summary>One request and its whole reply. Throws when the reply is not the expected one.</summary>
    public abstract Task ExchangeAsync(Stream stream, CancellationToken cancellationToken);
}

/// <summary>How a server ends its idle connections.</summary>
public enum IdleClose
{
    /// <summary>It does not, or only after minutes that no setting shortens.</summary>
    None,

    Fin,

    /// <summary>By linger 0, on purpose: nobody has a TIME_WAIT.</summary>
    Reset,
}
