using System.Collections.Concurrent;
using System.Net;
using PooledTcp.Configuration;
using PooledTcp.Connections;

namespace PooledTcp.Tests.Fakes;

/// <summary>A client on fake connections, whose dials succeed by themselves, and fake time.</summary>
internal sealed class ClientHarness : IAsyncDisposable
{
    public static readonly IPEndPoint Device = new(IPAddress.Parse("10.1.2.3"), 502);

    private readonly ConcurrentQueue<FakeConnector> _connectors = new();
    private readonly string[] _names;

    public ClientHarness(params string[] names)
        : this(new Dictionary<string, EndpointHooks>(), names)
    {
    }

    public ClientHarness(Dictionary<string, EndpointHooks> hooks, params string[] names)
    {
        _names = names;
        Client = new PooledTcpClient(Settings(names), hooks, loggerFactory: null, meterFactory: null, Time, (_, _) =>
        {
            FakeConnector connector = new()
            {
                Automatic = _ =>
                {
                    FakeTransport transport = new();
                    OnTransport?.Invoke(transport);
                    return transport;
                },
            };
            _connectors.Enqueue(connector);
            OnConnector?.Invoke();
            return connector;
        },
        static (_, _) => Task.FromResult<IPAddress[]>([IPAddress.Parse("10.0.0.9")]));
    }

    public FakeTime Time { get; } = new();

    public PooledTcpClient Client { get; }

    /// <summary>Runs while a pool is being made.</summary>
    public Action? OnConnector { get; set; }

    /// <summary>Gets each connection before the client does.</summary>
    public Action<FakeTransport>? OnTransport { get; set; }

    public IEnumerable<FakeTransport> Transports => _connectors.SelectMany(static c => c.Transports);

    public static Task<TcpLease> RentAsync(TcpPool pool) => pool.RentAsync(CancellationToken.None).AsTask().WaitAsync(PoolHarness.Hang);

    public void Apply(string name, Action<TcpEndpointOptions> configure, Action<TcpEndpointOptions>? alsoDefaults = null, int? maxClosing = null, int? maxTotal = null) =>
        Client.Apply(Settings([.. _names.Append(name).Distinct()], name, configure, alsoDefaults, maxClosing, maxTotal));

    public Task StepUntilAsync(Func<bool> condition) => PoolHarness.UntilAsync(() =>
    {
        if (condition())
        {
            return true;
        }

        Time.Advance(TimeSpan.FromSeconds(1));
        return false;
    });

    public async ValueTask DisposeAsync()
    {
        try
        {
            await Client.DisposeAsync().AsTask().WaitAsync(PoolHarness.Hang);
        }
        catch (TimeoutException)
        {
            throw new TimeoutException("The client's end waits: for a peer that does not close, perhaps, since the test failed half-way.");
        }
    }

    private static ClientSettings Settings(
        string[] names, string? changed = null, Action<TcpEndpointOptions>? configure = null, Action<TcpEndpointOptions>? defaults = null,
        int? maxClosing = null, int? maxTotal = null)
    {
        PooledTcpOptions options = new();
        options.MaxClosing = maxClosing ?? options.MaxClosing;
        options.MaxTotalConnections = maxTotal;
        defaults?.Invoke(options.Defaults);
        foreach (string name in names)
        {
            options.AddEndpoint(name, endpoint =>
            {
                endpoint.Address = "10.0.0.1:7000";
                if (name == changed)
                {
                    configure!(endpoint);
                }
            });
        }

        return SettingsFactory.Create(options);
    }
}
