using System.Net;
using OutageReplay.Network;
using OutageReplay.Processes;

namespace OutageReplay.Acts;

/// <summary>
/// The third act: connections that must be closed after one request, under each policy. One server with an address for each:
/// local ports are counted per destination (tcp-facts section 3), so every policy begins with all of them.
/// </summary>
internal sealed class ChurnHost(ActSettings settings)
{
    /// <summary>One for each policy and one for the rehearsal, in a row.</summary>
    public const int ServerPorts = 6;

    // Both rehearsals together need fewer ports than there are.
    private const int RehearsalRequests = 24;

    private static readonly TimeSpan PolicyLength = TimeSpan.FromSeconds(1.5);

    public static int Requests => PacedLoad.RequestsIn(PolicyLength);

    public async Task PlayAsync(CancellationToken cancellationToken)
    {
        if (settings.InNamespace)
        {
            NetworkNamespace.Configure();
        }

        IPEndPoint[] servers = [.. Enumerable.Range(0, ServerPorts).Select(settings.AtPort)];
        await using GarnetProcess server = await GarnetProcess.StartAsync(servers, cancellationToken);
        foreach (ChurnPolicy policy in (ChurnPolicy[])[ChurnPolicy.ConnectPerRequest, ChurnPolicy.AutoWithGoodbye])
        {
            await using IAct rehearsal = CreateAct(policy, servers[^1]);
            await PacedLoad.RunAsync(rehearsal, new Scoreboard(), RehearsalRequests, cancellationToken);
        }

        foreach (ChurnPolicy policy in ChurnPolicies.All)
        {
            ActHost.Report(new ChurnPlayed(await PlayAsync(policy, servers[(int)policy], cancellationToken)));
        }

        ActHost.Report(new ChurnFinished());
    }

    private async Task<ChurnFigures> PlayAsync(ChurnPolicy policy, IPEndPoint server, CancellationToken cancellationToken)
    {
        var scoreboard = new Scoreboard();
        await using (IAct act = CreateAct(policy, server))
        {
            await PacedLoad.RunAsync(act, scoreboard, settings.Requests, cancellationToken);
        }

        KernelView kernel = await KernelView.ReadSettledAsync(server.Port, cancellationToken);
        (int succeeded, int failed, _) = scoreboard.Read();
        return new ChurnFigures(
            policy, succeeded + failed, succeeded, failed, kernel.ClientTimeWait, kernel.ServerTimeWait, scoreboard.Percentile(0.99));
    }

    private IAct CreateAct(ChurnPolicy policy, IPEndPoint server)
    {
        PortWindow? window = settings.InNamespace ? null : settings.Window;
        return policy == ChurnPolicy.ConnectPerRequest ? new NaiveAct(server, window) : new PooledAct(server, window, endpoint => policy.Apply(endpoint));
    }
}
