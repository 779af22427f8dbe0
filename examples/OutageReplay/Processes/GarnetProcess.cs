using System.Net;

namespace OutageReplay.Processes;

/// <summary>A real RESP server from NuGet, in a process of its own and in the namespace of whoever starts it.</summary>
internal sealed class GarnetProcess : IAsyncDisposable
{
    private readonly ChildProcess _child;

    private GarnetProcess(ChildProcess child) => _child = child;

    public static async Task<GarnetProcess> StartAsync(IPEndPoint[] endpoints, CancellationToken cancellationToken)
    {
        ChildProcess child = ChildProcess.Start(
            ChildProcess.SelfCommand([Program.GarnetVerb, .. endpoints.Select(endpoint => endpoint.ToString())]));
        try
        {
            while (await child.Output.ReadLineAsync(cancellationToken) is string line)
            {
                if (line == GarnetHost.ReadyLine)
                {
                    return new GarnetProcess(child);
                }
            }

            throw new ReplayException($"Garnet did not start on {string.Join<IPEndPoint>(" and ", endpoints)}: {await child.ReadErrorAsync(cancellationToken)}");
        }
        catch
        {
            await child.DisposeAsync();
            throw;
        }
    }

    public ValueTask DisposeAsync() => _child.DisposeAsync();
}
