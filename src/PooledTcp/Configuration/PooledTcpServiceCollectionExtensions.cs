using System.Diagnostics.Metrics;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using PooledTcp;
using PooledTcp.Configuration;
using PooledTcp.Hosting;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers <see cref="PooledTcpClient"/>, and a keyed <see cref="TcpPool"/> for each configured endpoint.</summary>
public static class PooledTcpServiceCollectionExtensions
{
    /// <summary>Registers the client with its default settings, for ad hoc endpoints or for <c>AddEndpoint</c>.</summary>
    /// <inheritdoc cref="AddPooledTcp(IServiceCollection, IConfiguration)"/>
    public static IPooledTcpBuilder AddPooledTcp(this IServiceCollection services)
    {
        ArgumentNullException.ThrowIfNull(services);
        AddCore(services);
        return new PooledTcpBuilder(services);
    }

    /// <summary>Registers the client with settings from code.</summary>
    /// <param name="services">Where to register.</param>
    /// <param name="configure">Sets defaults first, then endpoints, which start from a copy of them.</param>
    /// <inheritdoc cref="AddPooledTcp(IServiceCollection, IConfiguration)"/>
    public static IPooledTcpBuilder AddPooledTcp(this IServiceCollection services, Action<PooledTcpOptions> configure)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(configure);
        AddCore(services);
        services.Configure(configure);
        return new PooledTcpBuilder(services);
    }

    /// <summary>Registers the client with settings from configuration, followed when they change.</summary>
    /// <param name="services">Where to register.</param>
    /// <param name="section">
    /// The section, by custom <c>configuration.GetSection("PooledTcp")</c>, with <c>Defaults</c> and <c>Endpoints</c> in it.
    /// </param>
    /// <returns>A builder for endpoints and their hooks.</returns>
    /// <remarks>
    /// May be called several times; settings apply in the order of the calls, the later one wins. Invalid settings fail
    /// when the host starts (without a host: when the client is first resolved) with an
    /// <see cref="OptionsValidationException"/> that names every fault. When the host stops, the client lets leases finish
    /// until the host's shutdown timeout, after all hosted services have stopped. From the moment it begins to stop, health checks
    /// report it and nothing is dialed in advance.
    /// </remarks>
    /// <exception cref="ArgumentException"><paramref name="section"/> is the whole configuration, not a section of it.</exception>
    public static IPooledTcpBuilder AddPooledTcp(this IServiceCollection services, IConfiguration section)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(section);
        if (section is not IConfigurationSection itself)
        {
            throw new ArgumentException(
                "This is the whole configuration. Pass the section: configuration.GetSection(\"PooledTcp\").", nameof(section));
        }

        AddCore(services);
        var source = new PooledTcpSection(itself);
        services.AddSingleton(source);
        services.AddSingleton<IConfigureOptions<PooledTcpOptions>>(source);
        services.AddSingleton<IOptionsChangeTokenSource<PooledTcpOptions>>(
            new ConfigurationChangeTokenSource<PooledTcpOptions>(section));
        return new PooledTcpBuilder(services);
    }

    private static void AddCore(IServiceCollection services)
    {
        services.AddOptions();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<PooledTcpOptions>, PooledTcpOptionsValidator>());
        services.TryAddSingleton(static provider => new SettingsSource(
            provider.GetRequiredService<IOptionsFactory<PooledTcpOptions>>(),
            provider.GetServices<IOptionsChangeTokenSource<PooledTcpOptions>>(),
            provider.GetServices<PooledTcpSection>(),
            Loggers(provider).CreateLogger("PooledTcp.Configuration")));
        services.TryAddSingleton(static provider =>
        {
            var source = provider.GetRequiredService<SettingsSource>();
            var client = new PooledTcpClient(
                source.Load(),
                EndpointHook.Collect(provider.GetServices<EndpointHook>(), provider),
                provider.GetService<ILoggerFactory>(),
                provider.GetService<IMeterFactory>(),
                provider.GetService<TimeProvider>());
            source.Watch(client.Apply);
            return client;
        });

        // AnyKey: names known only from configuration resolve too. The client answers for unknown ones, with the list.
        services.TryAddKeyedSingleton(KeyedService.AnyKey, static (provider, key) =>
            provider.GetRequiredService<PooledTcpClient>().GetPool(
                key as string ?? throw new ArgumentException(
                    $"The key of a {nameof(TcpPool)} is the name of its endpoint, a string, not {key}.", nameof(key))));

        services.AddHostedService<PooledTcpHostedService>();
    }

    private static ILoggerFactory Loggers(IServiceProvider provider) =>
        provider.GetService<ILoggerFactory>() ?? NullLoggerFactory.Instance;
}
