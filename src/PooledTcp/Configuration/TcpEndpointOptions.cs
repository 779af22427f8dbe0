using System.Net.Sockets;

namespace PooledTcp;

/// <summary>Settings of one endpoint, or of all of them when used as <see cref="PooledTcpOptions.Defaults"/>.</summary>
/// <remarks>
/// On reload, limits and timeouts apply at once; a changed address, socket or TLS setting starts a new generation of
/// connections. Times in configuration are written <c>hh:mm:ss</c>, or <c>d.hh:mm:ss</c> from one day on;
/// where it is allowed, <c>Infinite</c> stands for <see cref="Timeout.InfiniteTimeSpan"/>
/// (which .NET itself writes <c>-00:00:00.001</c>; that is taken too).
/// </remarks>
public sealed class TcpEndpointOptions
{
    /// <summary>Creates settings with their default values.</summary>
    public TcpEndpointOptions()
    {
        KeepAlive = new();
        Tls = new();
        Health = new();
        Shutdown = new();
        Ports = new();
    }

    private TcpEndpointOptions(TcpEndpointOptions other)
    {
        Address = other.Address;
        MaxConnections = other.MaxConnections;
        MinIdleConnections = other.MinIdleConnections;
        MaxConnecting = other.MaxConnecting;
        MaxWaiters = other.MaxWaiters;
        RentTimeout = other.RentTimeout;
        ConnectTimeout = other.ConnectTimeout;
        DnsRefreshInterval = other.DnsRefreshInterval;
        IdleTimeout = other.IdleTimeout;
        Lifetime = other.Lifetime;
        LifetimeJitter = other.LifetimeJitter;
        MaxUses = other.MaxUses;
        AllowOneWay = other.AllowOneWay;
        NoDelay = other.NoDelay;
        UserTimeout = other.UserTimeout;
        KeepAlive = other.KeepAlive.Clone();
        Tls = other.Tls.Clone();
        Health = other.Health.Clone();
        Shutdown = other.Shutdown.Clone();
        Ports = other.Ports.Clone();
        Handshake = other.Handshake;
        Reset = other.Reset;
        ConnectCallback = other.ConnectCallback;
    }

    /// <summary>Where to connect. Required for an endpoint, refused in <see cref="PooledTcpOptions.Defaults"/>.</summary>
    /// <value>
    /// <c>host:port</c>, <c>10.0.0.1:port</c>, <c>[2001:db8::1]:port</c> (a scope id is allowed), <c>unix:/path</c>,
    /// or <c>unix:@name</c> for an abstract socket (Linux).
    /// </value>
    public string? Address { get; set; }

    /// <summary>The most connections at one time, those being dialed and those being closed included.</summary>
    /// <value>1 to 1,000,000. Default: 100, as in Npgsql and SqlClient.</value>
    public int MaxConnections { get; set; } = 100;

    /// <summary>How many idle connections the pool keeps ready by dialing in the background. Not for ad hoc pools.</summary>
    /// <value>0 to <see cref="MaxConnections"/>. Default: 0.</value>
    public int MinIdleConnections { get; set; }

    /// <summary>How many dials may run at one time. It keeps a cold start from becoming a storm of SYNs.</summary>
    /// <value>1 to 1,000,000; <see cref="MaxConnections"/> limits it too. Default: 4.</value>
    public int MaxConnecting { get; set; } = 4;

    /// <summary>
    /// How many rents may wait for others to return a connection. One more fails at once with
    /// <see cref="PoolQueueFullException"/>. A rent for which a dial is running is not counted.
    /// </summary>
    /// <value>
    /// 0 to 1,000,000; at 0 a rent never queues behind others, but still waits for a dial of its own. Default: 1,000.
    /// </value>
    public int MaxWaiters { get; set; } = 1000;

    /// <summary>One budget for a rent: waiting, dialing and handshake together.</summary>
    /// <value>1 ms to 1 h, or <see cref="Timeout.InfiniteTimeSpan"/>. Default: 5 s.</value>
    public TimeSpan RentTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>One budget for a dial: name resolution, connect, TLS and handshake hook together.</summary>
    /// <value>1 ms to 1 h. Default: 3 s, so that a second dial still fits into <see cref="RentTimeout"/>.</value>
    public TimeSpan ConnectTimeout { get; set; } = TimeSpan.FromSeconds(3);

    /// <summary>
    /// How long the addresses of a host name are used before the name is looked up again, in the background. A connection to
    /// an address that is gone from the answer is closed when it is idle, or when it comes back. A failed dial brings the next
    /// lookup forward; a failed lookup changes nothing. Not for IP literals, unix sockets and connect callbacks.
    /// </summary>
    /// <value>
    /// 1 s to 1 day, or <see cref="Timeout.InfiniteTimeSpan"/> for lookups after failed dials only. Default: 30 s, as in the
    /// JDK: .NET does not tell a record's own time to live, failover records live 5 to 60 s, and Npgsql, which looks up at
    /// every connect, pays for a lookup each time.
    /// </value>
    public TimeSpan DnsRefreshInterval { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>How long a connection may stay idle before it is closed.</summary>
    /// <value>
    /// 100 ms to 1 day, or <see cref="Timeout.InfiniteTimeSpan"/>. Default: 90 s, below the idle limits of
    /// load balancers and NAT gateways (AWS 350 s, Azure 240 s). An ad hoc pool goes away when its connections have gone:
    /// with this and <see cref="Lifetime"/> both infinite it never does.
    /// </value>
    public TimeSpan IdleTimeout { get; set; } = TimeSpan.FromSeconds(90);

    /// <summary>How old a connection may become, in use or not, so that changes behind a name or a load balancer are seen.</summary>
    /// <value>100 ms to 30 days, or <see cref="Timeout.InfiniteTimeSpan"/>. Default: 30 min, as in HikariCP.</value>
    public TimeSpan Lifetime { get; set; } = TimeSpan.FromMinutes(30);

    /// <summary>The largest share of <see cref="Lifetime"/> taken off at random, so that connections do not all end together.</summary>
    /// <value>A fraction, 0 to 0.5. Default: 0.10, which is 10 %.</value>
    public double LifetimeJitter { get; set; } = 0.10;

    /// <summary>How many times a connection may be lent before it is closed.</summary>
    /// <value>1 or more; null for no limit. Default: null.</value>
    public int? MaxUses { get; set; }

    /// <summary>
    /// Says that this protocol sends without being answered (syslog, StatsD). Without it, a lease that sent and
    /// received nothing is not reused: its reply could still be on the way, to the wrong caller.
    /// </summary>
    /// <value>Default: false.</value>
    public bool AllowOneWay { get; set; }

    /// <summary>Sends small writes at once (TCP_NODELAY).</summary>
    /// <value>Default: true.</value>
    public bool NoDelay { get; set; } = true;

    /// <summary>How long sent data may stay unacknowledged before the kernel gives the connection up (TCP_USER_TIMEOUT, Linux).</summary>
    /// <value>
    /// 1 ms to 1 day, and at least KeepAlive Time + Interval x Count, or a single lost probe kills a healthy
    /// connection (measured); <see cref="TimeSpan.Zero"/> leaves it to the kernel. Default: 35 s = 20 s + 5 s x 3.
    /// </value>
    public TimeSpan UserTimeout { get; set; } = TimeSpan.FromSeconds(35);

    /// <summary>TCP keepalive probes of idle connections.</summary>
    public TcpKeepAliveOptions KeepAlive { get; }

    /// <summary>TLS, off by default.</summary>
    public TcpTlsOptions Tls { get; }

    /// <summary>What is done about an endpoint that cannot be reached.</summary>
    public TcpHealthOptions Health { get; }

    /// <summary>How connections are closed.</summary>
    public TcpShutdownOptions Shutdown { get; }

    /// <summary>From which local addresses and ports to connect.</summary>
    public TcpPortOptions Ports { get; }

    /// <summary>
    /// Makes each new connection ready for its protocol (AUTH, SELECT, login). Not bound from configuration, and settled
    /// when the endpoint's pool is made; with dependency injection <c>WithHandshake&lt;T&gt;()</c> overrides it.
    /// </summary>
    /// <value>Default: null.</value>
    public ITcpHandshake? Handshake { get; set; }

    /// <summary>
    /// Cleans a connection before it is lent again. Not bound from configuration, and settled when the endpoint's pool is
    /// made; with dependency injection <c>WithReset&lt;T&gt;()</c> overrides it.
    /// </summary>
    /// <value>Default: null.</value>
    public ITcpReset? Reset { get; set; }

    /// <summary>
    /// Replaces name resolution and connect: a proxy, an address of a service registry, a test. It returns a connected
    /// stream socket, which then belongs to the pool. Not bound from configuration, and settled when the endpoint's pool is
    /// made; with dependency injection <c>WithConnectCallback(...)</c> overrides it.
    /// </summary>
    /// <value>Default: null.</value>
    public Func<TcpConnectContext, CancellationToken, ValueTask<Socket>>? ConnectCallback { get; set; }

    internal TcpEndpointOptions Clone() => new(this);
}
