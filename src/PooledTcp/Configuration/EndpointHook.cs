using PooledTcp.Connections;

namespace PooledTcp.Configuration;

/// <summary>One registered hook: to which endpoint, and how it is added to the others. Among equals the last wins.</summary>
/// <param name="EndpointName">Whose hook it is.</param>
/// <param name="Add">Adds it.</param>
/// <param name="Make">Makes the object behind it, so that one that cannot be made fails the start of the host; null where there is none.</param>
internal sealed record EndpointHook(
    string EndpointName, Func<EndpointHooks, IServiceProvider, EndpointHooks> Add, Action<IServiceProvider>? Make = null)
{
    public static IReadOnlyDictionary<string, EndpointHooks> Collect(IEnumerable<EndpointHook> hooks, IServiceProvider services)
    {
        var byName = new Dictionary<string, EndpointHooks>(StringComparer.OrdinalIgnoreCase);
        foreach (var hook in hooks)
        {
            byName[hook.EndpointName] = hook.Add(byName.GetValueOrDefault(hook.EndpointName, EndpointHooks.None), services);
        }

        return byName;
    }
}
