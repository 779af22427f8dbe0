using System.Net;
using System.Net.Sockets;

namespace PooledTcp.StatsPageTests.Support;

/// <summary>
/// Five pools that fare differently under load: one serves at once, one has too few connections, one dials for every rent, one has
/// no server, and one is ad hoc.
/// </summary>
internal sealed class Scene : IAsyncDisposable
{
    private readonly EchoServer _fast;
    private readonly EchoServer _slow;
    private readonly Socket _nobody;

    private Scene(Site site, EchoServer fast, EchoServer slow, Socket nobody) => (Site, _fast, _slow, _nobody) = (site, fast, slow, nobody);

    public Site Site { get; }

    public TcpPool AdHoc => Site.Client.GetPool(_slow.EndPoint);

    public static async Task<Scene> StartAsync()
    {
        EchoServer fast = new(), slow = new(TimeSpan.FromMilliseconds(20));

        // Bound and never listening: refuses, and nobody else gets the port.
        Socket nobody = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        nobody.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        Site site = await Site.StartAsync(options =>
        {
            options.MaxTotalConnections = 200;
            options.AddEndpoint("cache", e => (e.Address, e.MaxConnections, e.MinIdleConnections) = (fast.EndPoint.ToString(), 16, 2));
            options.AddEndpoint("payments", e => (e.Address, e.MaxConnections) = (slow.EndPoint.ToString(), 4));
            options.AddEndpoint("quotes", e => (e.Address, e.MaxConnections, e.MaxUses) = (fast.EndPoint.ToString(), 20, 1));
            options.AddEndpoint("archive", e => (e.Address, e.MaxConnections) = (nobody.LocalEndPoint!.ToString(), 10));
        });
        return new Scene(site, fast, slow, nobody);
    }

    public TcpPool Pool(string name) => Site.Client.GetPool(name);

    public Callers Load() => new Callers()
        .Add(Pool("cache"), 3, TimeSpan.FromMilliseconds(2))
        .Add(Pool("payments"), 7)
        .Add(Pool("quotes"), 1, TimeSpan.FromMilliseconds(10))
        .Add(Pool("archive"), 1, TimeSpan.FromMilliseconds(200))
        .Add(AdHoc, 2, TimeSpan.FromMilliseconds(5));

    public async ValueTask DisposeAsync()
    {
        await Site.DisposeAsync();
        await _fast.DisposeAsync();
        await _slow.DisposeAsync();
        _nobody.Dispose();
    }
}
