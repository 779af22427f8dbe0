using System.Net;
using OutageReplay.Acts;
using OutageReplay.Network;

namespace OutageReplay;

/// <summary>Where the acts are played.</summary>
/// <param name="Obstacle">Null in a network namespace; else why there is none.</param>
internal sealed record Stage(string? Obstacle, PortWindow Window, IPEndPoint NaiveServer, IPEndPoint PooledServer, IPEndPoint ChurnServer)
{
    // Below 32768: outside the local ports of a default system, as real servers are.
    private const int FirstFallbackPort = 26379;
    private const int LastFallbackPort = 32767;

    // For each of the first two acts its server's and the rehearsal's; then the third one's.
    private const int ServerPorts = 4 + ChurnHost.ServerPorts;

    public bool InNamespace => Obstacle is null;

    /// <summary>A namespace where possible, else a slice of this host's own loopback.</summary>
    public static async Task<Stage> ChooseAsync(bool noNamespace, CancellationToken cancellationToken)
    {
        if (!OperatingSystem.IsLinux())
        {
            throw new ReplayException("OutageReplay needs Linux: only there can a program of its own confine its local ports.");
        }

        string? obstacle = noNamespace ? "--no-namespace" : await NetworkNamespace.FindObstacleAsync(cancellationToken);
        if (obstacle is null)
        {
            // Each act gets its own namespace, so all may use the same address.
            var server = new IPEndPoint(NetworkNamespace.ServerAddress, NetworkNamespace.ServerPort);
            return new Stage(null, NetworkNamespace.Window, server, server, server);
        }

        if (!PortWindow.SocketsSupportIt())
        {
            throw new ReplayException($"No network namespace ({obstacle}), and IP_LOCAL_PORT_RANGE needs Linux 6.3.");
        }

        PortWindow window = PortWindow.FindUnused();
        int port = FindUnusedServerPorts(window);
        return new Stage(
            obstacle, window, new IPEndPoint(IPAddress.Loopback, port), new IPEndPoint(IPAddress.Loopback, port + 2), new IPEndPoint(IPAddress.Loopback, port + 4));
    }

    public ActSettings SettingsFor(ActKind act, int requests)
    {
        IPEndPoint server = act switch
        {
            ActKind.Naive => NaiveServer,
            ActKind.Pooled => PooledServer,
            _ => ChurnServer,
        };
        return new ActSettings(act, InNamespace, server.ToString(), Window, requests);
    }

    /// <summary>What to know about this stage before the play begins.</summary>
    public string Describe() => InNamespace
        ? $"Stage: a fresh network namespace for each act, server {NaiveServer}, local ports {Window}."
        : $"Stage: 127.0.0.1, local ports confined to {Window} by IP_LOCAL_PORT_RANGE; no network namespace ({Obstacle}). "
          + SofteningNote();

    private static string SofteningNote()
    {
        const string File = "/proc/sys/net/ipv4/tcp_tw_reuse";
        string reuse = System.IO.File.ReadAllText(File).Trim();
        return reuse == "0"
            ? "tcp_tw_reuse is 0 here, so the outage is the real one."
            : $"That softens the outage: with tcp_tw_reuse = {reuse} the kernel hands out a loopback port again after 1 s "
              + "in TIME_WAIT, not after 60 s as towards other hosts.";
    }

    /// <summary>The first of <see cref="ServerPorts"/> ports in a row that no socket of this host names.</summary>
    private static int FindUnusedServerPorts(PortWindow window)
    {
        IReadOnlySet<int> inUse = KernelView.PortsInUse();
        for (int first = FirstFallbackPort; first + ServerPorts - 1 <= LastFallbackPort; first += ServerPorts)
        {
            if (!Enumerable.Range(first, ServerPorts).Any(port => inUse.Contains(port) || window.Contains(port)))
            {
                return first;
            }
        }

        throw new ReplayException($"No {ServerPorts} unused ports in a row for the servers from {FirstFallbackPort} to {LastFallbackPort}.");
    }
}
