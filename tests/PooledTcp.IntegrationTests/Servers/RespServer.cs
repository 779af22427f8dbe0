using Xunit;

namespace PooledTcp.IntegrationTests.Servers;

/// <summary>
/// A RESP server of its own on loopback, as a test sees it. Its port lies below the ephemeral range, so no connection of
/// anybody's takes it while the server is down, and client ends are told from server ends by the port.
/// </summary>
public abstract class RespServer : IAsyncLifetime
{
    public int Port { get; } = FreePort.Next();

    public string Address => $"127.0.0.1:{Port}";

    /// <summary>What the endpoint needs besides the address.</summary>
    public virtual void Configure(TcpEndpointOptions endpoint)
    {
        endpoint.Address = Address;

        // A machine under load is no reason to fail; a test that wants a timeout sets its own.
        endpoint.RentTimeout = TimeSpan.FromSeconds(30);
        endpoint.ConnectTimeout = TimeSpan.FromSeconds(20);
    }

    /// <summary>A client with one endpoint, <c>server</c>.</summary>
    public PooledTcpClient NewClient(Action<TcpEndpointOptions>? configure = null) =>
        new(new PooledTcpOptions().AddEndpoint("server", endpoint =>
        {
            Configure(endpoint);
            configure?.Invoke(endpoint);
        }));

    public async ValueTask InitializeAsync() => await StartAsync();

    public virtual async ValueTask DisposeAsync()
    {
        await StopAsync();
        GC.SuppressFinalize(this);
    }

    /// <summary>Starts, also after <see cref="StopAsync"/>, on the same port; returns when it accepts.</summary>
    public abstract Task StartAsync();

    /// <summary>Kills it: established connections end without a word.</summary>
    public abstract Task StopAsync();
}
