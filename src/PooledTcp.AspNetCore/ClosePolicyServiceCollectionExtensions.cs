using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;
using PooledTcp.AspNetCore;
using PooledTcp.AspNetCore.Configuration;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Settings of the server half, for every endpoint that uses <c>UseClosePolicy</c>.</summary>
public static class ClosePolicyServiceCollectionExtensions
{
    /// <summary>Takes the settings from configuration, read once at start.</summary>
    /// <param name="services">Where to register.</param>
    /// <param name="section">By custom <c>configuration.GetSection("PooledTcp:Server")</c>.</param>
    /// <returns>The same collection.</returns>
    /// <remarks>Invalid settings fail the start of the host with an <see cref="OptionsValidationException"/> that names every fault.</remarks>
    /// <exception cref="ArgumentException"><paramref name="section"/> is the whole configuration, not a section of it.</exception>
    public static IServiceCollection AddClosePolicy(this IServiceCollection services, IConfiguration section)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(section);
        if (section is not IConfigurationSection itself)
        {
            throw new ArgumentException(
                "This is the whole configuration. Pass the section: configuration.GetSection(\"PooledTcp:Server\").", nameof(section));
        }

        return services.AddOptions().AddSingleton<IConfigureOptions<ClosePolicyOptions>>(new ClosePolicySection(itself));
    }

    /// <summary>Takes the settings from code.</summary>
    /// <param name="services">Where to register.</param>
    /// <param name="configure">Sets them.</param>
    /// <returns>The same collection.</returns>
    public static IServiceCollection AddClosePolicy(this IServiceCollection services, Action<ClosePolicyOptions> configure)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(configure);
        return services.Configure(configure);
    }
}
