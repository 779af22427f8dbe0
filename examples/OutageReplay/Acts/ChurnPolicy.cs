using System.Text.Json.Serialization;
using PooledTcp;

namespace OutageReplay.Acts;

/// <summary>Who closes first, where every connection must be closed after one request. In the order in which they are played.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<ChurnPolicy>))]
internal enum ChurnPolicy
{
    /// <summary>No pool: the client closes first, as in the first act.</summary>
    [JsonStringEnumMemberName("connectPerRequest")]
    ConnectPerRequest,

    /// <summary>The pool's default: within its share of the ports the client closes first, beyond it quietly.</summary>
    [JsonStringEnumMemberName("auto")]
    Auto,

    /// <summary>The same, and the pool knows the protocol's farewell, to which the server answers by closing.</summary>
    [JsonStringEnumMemberName("autoWithGoodbye")]
    AutoWithGoodbye,

    [JsonStringEnumMemberName("server")]
    Server,

    [JsonStringEnumMemberName("client")]
    Client,
}

internal static class ChurnPolicies
{
    /// <summary>What the closing connections that find no port may take of a request's time under <see cref="ChurnPolicy.Client"/>.</summary>
    private static readonly TimeSpan ShortWait = TimeSpan.FromSeconds(1);

    // The client waits for closes under way at its end, which a client that must close first cannot speed up.
    private static readonly TimeSpan ShortDrain = TimeSpan.FromMilliseconds(200);

    public static IReadOnlyList<ChurnPolicy> All { get; } = Enum.GetValues<ChurnPolicy>();

    public static string Title(this ChurnPolicy policy) => policy switch
    {
        ChurnPolicy.ConnectPerRequest => "connect per request",
        ChurnPolicy.Auto => "Auto",
        ChurnPolicy.AutoWithGoodbye => "Auto, farewell known",
        ChurnPolicy.Server => "Server, by farewell",
        _ => "Client",
    };

    /// <summary>True where every request is to succeed.</summary>
    public static bool IsCure(this ChurnPolicy policy) => policy is ChurnPolicy.Auto or ChurnPolicy.AutoWithGoodbye or ChurnPolicy.Server;

    public static void Apply(this ChurnPolicy policy, TcpEndpointOptions endpoint)
    {
        endpoint.MaxUses = 1;
        endpoint.Shutdown.ClosesFirst = policy switch
        {
            ChurnPolicy.Server => ClosesFirst.Server,
            ChurnPolicy.Client => ClosesFirst.Client,
            _ => ClosesFirst.Auto,
        };
        endpoint.Shutdown.Goodbye = policy is ChurnPolicy.AutoWithGoodbye or ChurnPolicy.Server ? "redis" : null;
        if (policy == ChurnPolicy.Client)
        {
            endpoint.RentTimeout = ShortWait;
            endpoint.Shutdown.GoodbyeTimeout = ShortDrain;
            endpoint.Shutdown.DrainTimeout = ShortDrain;
        }
    }
}
