using System.Net;
using CacheService.Cache;

namespace CacheService.Hosting;

/// <summary>Setting <c>Backend</c>: what listens at the endpoint's address.</summary>
internal enum Backend
{
    /// <summary>A server inside this process.</summary>
    Embedded,

    /// <summary>A Redis, Valkey or Garnet that somebody else runs.</summary>
    External,
}

/// <summary>Its registration.</summary>
internal static class BackendRegistration
{
    public static void AddBackend(this IServiceCollection services, ConfigurationManager configuration)
    {
        if (!Enum.TryParse(configuration["Backend"] ?? nameof(Backend.Embedded), ignoreCase: true, out Backend backend) || !Enum.IsDefined(backend))
        {
            throw new SettingException($"Backend is Embedded or External, not '{configuration["Backend"]}'.");
        }

        if (backend == Backend.External)
        {
            return;
        }

        const string Setting = $"PooledTcp:Endpoints:{CacheGateway.Endpoint}:Address";
        string? address = configuration[Setting];
        if (!IPEndPoint.TryParse(address ?? "", out IPEndPoint? endpoint) || endpoint.Port == 0 || !IPAddress.IsLoopback(endpoint.Address))
        {
            // It has no password: never at an address that others reach.
            throw new SettingException(
                $"The embedded server listens on the loopback only: {Setting} is like 127.0.0.1:6390, not '{address}'. For a server of your own set Backend to External.");
        }

        services.AddHostedService(_ => new EmbeddedServer(endpoint));
    }
}
