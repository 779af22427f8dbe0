using System.Diagnostics.CodeAnalysis;
using System.Net.Sockets;
using PooledTcp;
using PooledTcp.Configuration;
using PooledTcp.Connections;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Endpoints and their hooks.</summary>
public static class PooledTcpBuilderExtensions
{
    /// <summary>Names an endpoint that configuration describes, to give it hooks.</summary>
    /// <inheritdoc cref="AddEndpoint(IPooledTcpBuilder, string, Action{TcpEndpointOptions})"/>
    public static ITcpEndpointBuilder AddEndpoint(this IPooledTcpBuilder builder, string name) =>
        builder.AddEndpoint(name, static _ => { });

    /// <summary>Adds an endpoint, or changes the one of that name: registrations apply in their order, the later one wins.</summary>
    /// <param name="builder">What <c>AddPooledTcp</c> returned.</param>
    /// <param name="name">Its name; case is ignored.</param>
    /// <param name="configure">Sets it up, from the defaults as they are then.</param>
    /// <returns>A builder for the hooks of this endpoint.</returns>
    public static ITcpEndpointBuilder AddEndpoint(
        this IPooledTcpBuilder builder, string name, Action<TcpEndpointOptions> configure)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        ArgumentNullException.ThrowIfNull(configure);
        builder.Services.Configure<PooledTcpOptions>(options => options.AddEndpoint(name, configure));
        return new TcpEndpointBuilder(builder.Services, name);
    }

    /// <summary>Makes new connections of this endpoint ready for their protocol.</summary>
    /// <typeparam name="T">
    /// Taken from the container if it is registered there, else created once with its constructor's parameters from the
    /// container, which then disposes it. It lives as long as the client, so it cannot be scoped.
    /// </typeparam>
    /// <param name="builder">What <c>AddEndpoint</c> returned.</param>
    /// <returns>The same builder.</returns>
    public static ITcpEndpointBuilder WithHandshake<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)] T>(
        this ITcpEndpointBuilder builder)
        where T : class, ITcpHandshake =>
        With<ITcpHandshake, T>(
            builder, static (hooks, handshake) => hooks with { Handshake = (lease, token) => handshake().HandshakeAsync(lease, token) });

    /// <summary>Cleans connections of this endpoint before they are lent again.</summary>
    /// <inheritdoc cref="WithHandshake{T}(ITcpEndpointBuilder)"/>
    public static ITcpEndpointBuilder WithReset<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)] T>(
        this ITcpEndpointBuilder builder)
        where T : class, ITcpReset =>
        With<ITcpReset, T>(builder, static (hooks, reset) => hooks with { Reset = (lease, token) => reset().ResetAsync(lease, token) });

    /// <summary>Asks idle connections of this endpoint now and then whether the server still answers.</summary>
    /// <inheritdoc cref="WithHandshake{T}(ITcpEndpointBuilder)"/>
    public static ITcpEndpointBuilder WithProbe<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)] T>(
        this ITcpEndpointBuilder builder)
        where T : class, IConnectionProbe =>
        With<IConnectionProbe, T>(builder, static (hooks, probe) => hooks with { Probe = (lease, token) => probe().ProbeAsync(lease, token) });

    /// <summary>Gives connections of this endpoint their farewell, to which the server answers by closing first.</summary>
    /// <inheritdoc cref="WithHandshake{T}(ITcpEndpointBuilder)"/>
    public static ITcpEndpointBuilder WithGoodbye<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)] T>(
        this ITcpEndpointBuilder builder)
        where T : class, IGoodbye =>
        With<IGoodbye, T>(builder, static (hooks, goodbye) => hooks with { Goodbye = session => goodbye().GetFarewell(session) });

    /// <summary>Gives connections of this endpoint their farewell, to which the server answers by closing first.</summary>
    /// <param name="builder">What <c>AddEndpoint</c> returned.</param>
    /// <param name="goodbye">Makes the farewell from the connection's <c>Session</c>, as <see cref="IGoodbye.GetFarewell"/> does.</param>
    /// <returns>The same builder.</returns>
    public static ITcpEndpointBuilder WithGoodbye(this ITcpEndpointBuilder builder, Func<object?, ReadOnlyMemory<byte>> goodbye)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentNullException.ThrowIfNull(goodbye);
        builder.Services.AddSingleton(new EndpointHook(builder.Name, (hooks, _) => hooks with { Goodbye = goodbye }));
        return builder;
    }

    /// <summary>Replaces name resolution and connect: a proxy, an address of a service registry, a test.</summary>
    /// <param name="builder">What <c>AddEndpoint</c> returned.</param>
    /// <param name="connect">
    /// Returns a connected stream socket, which then belongs to the pool. It runs within the connect budget; on failure or
    /// cancellation it must leave nothing open.
    /// </param>
    /// <returns>The same builder.</returns>
    public static ITcpEndpointBuilder WithConnectCallback(
        this ITcpEndpointBuilder builder, Func<TcpConnectContext, CancellationToken, ValueTask<Socket>> connect)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentNullException.ThrowIfNull(connect);
        builder.Services.AddSingleton(new EndpointHook(builder.Name, (hooks, _) => hooks with { Connect = connect }));
        return builder;
    }

    private static ITcpEndpointBuilder With<TService, [DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)] T>(
        ITcpEndpointBuilder builder, Func<EndpointHooks, Func<TService>, EndpointHooks> add)
        where TService : class
        where T : class, TService
    {
        ArgumentNullException.ThrowIfNull(builder);
        // A key of its own, so that the container owns (and disposes) what it creates, and two endpoints may use the
        // same T without sharing it. Only for what it creates: it disposes whatever a factory returns, and would dispose
        // a registered T a second time.
        var key = new object();
        builder.Services.AddKeyedSingleton<TService>(key, static (services, _) => ActivatorUtilities.CreateInstance<T>(services));

        // Made at the first use, or by the hosted service once the client is there: a hook may itself need a pool of this
        // client (a login that asks a token server), and making it inside the client's own making would never end.
        builder.Services.AddSingleton(new EndpointHook(
            builder.Name,
            (hooks, services) =>
            {
                TService? made = null;
                return add(hooks, () => LazyInitializer.EnsureInitialized(ref made, () => Resolve(services)));
            },
            services => Resolve(services)));
        return builder;

        TService Resolve(IServiceProvider services) => services.GetService<T>() ?? services.GetRequiredKeyedService<TService>(key);
    }
}
