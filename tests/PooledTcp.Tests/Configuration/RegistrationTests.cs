using System.Net.Sockets;
using System.Text;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using PooledTcp.Configuration;
using PooledTcp.Connections;
using Xunit;

namespace PooledTcp.Tests.Configuration;

public class RegistrationTests
{
    private static readonly string[] Good = ["Endpoints:cache:Address=127.0.0.1:6379", "Endpoints:gateway:Address=127.0.0.1:9000"];

    [Fact]
    public async Task A_hook_may_need_another_pool_of_the_same_client()
    {
        using var host = Host.CreateDefaultBuilder().ConfigureServices(static services => services
            .AddPooledTcp(static options =>
            {
                options.AddEndpoint("auth", static e => e.Address = "127.0.0.1:1");
                options.AddEndpoint("cache", static e => e.Address = "127.0.0.1:2");
            })
            .AddEndpoint("cache").WithHandshake<TokenLogin>()).Build();

        await host.StartAsync(TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        await host.StopAsync(TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task A_hook_that_cannot_be_made_fails_the_start()
    {
        using var host = Host.CreateDefaultBuilder().ConfigureServices(static services => services
            .AddPooledTcp(static options => options.AddEndpoint("cache", static e => e.Address = "127.0.0.1:2"))
            .AddEndpoint("cache").WithHandshake<NeedsTheUnknown>()).Build();

        var refused = await Assert.ThrowsAsync<InvalidOperationException>(() => host.StartAsync(TestContext.Current.CancellationToken));
        Assert.Contains(nameof(IFormatProvider), refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Keyed_pools_resolve_for_names_known_only_from_configuration()
    {
        await using var provider = Build(static s => s.AddPooledTcp(Bound.Section(Good)).Services.AddTransient<NeedsCache>());

        var client = provider.GetRequiredService<PooledTcpClient>();
        var pool = provider.GetRequiredKeyedService<TcpPool>("cache");

        Assert.Same(client.GetPool("cache"), pool);
        Assert.Same(pool, provider.GetRequiredKeyedService<TcpPool>("CACHE"));
        Assert.Same(pool, provider.GetRequiredService<NeedsCache>().Pool);
        Assert.NotSame(pool, provider.GetRequiredKeyedService<TcpPool>("gateway"));
    }

    [Fact]
    public async Task An_unknown_pool_is_answered_with_the_configured_names()
    {
        await using var provider = Build(static s => s.AddPooledTcp(Bound.Section(Good)));

        var e = Assert.Throws<ArgumentException>(() => provider.GetRequiredKeyedService<TcpPool>("cash"));
        Assert.StartsWith(
            "No endpoint \"cash\" is configured under PooledTcp:Endpoints. Configured: cache, gateway.", e.Message, StringComparison.Ordinal);
        Assert.Equal("endpoint", e.ParamName);
        var other = Assert.Throws<ArgumentException>(() => provider.GetRequiredKeyedService<TcpPool>(42));
        Assert.StartsWith("The key of a TcpPool is the name of its endpoint, a string, not 42.", other.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AnyKey_is_for_lookup_only()
    {
        // .NET 10: AnyKey is no key to resolve, and no enumeration includes what is registered under it. Resolving one does.
        await using var provider = Build(static s => s.AddPooledTcp(Bound.Section(Good)));

        Assert.Throws<InvalidOperationException>(() => provider.GetKeyedService<TcpPool>(KeyedService.AnyKey));
        Assert.Empty(provider.GetKeyedServices<TcpPool>(KeyedService.AnyKey));
        Assert.Empty(provider.GetKeyedServices<TcpPool>("cache"));
        Assert.Equal("cache", provider.GetKeyedService<TcpPool>("cache")!.Name);
        Assert.True(provider.GetRequiredService<IServiceProviderIsKeyedService>().IsKeyedService(typeof(TcpPool), "cache"));
    }

    [Fact]
    public async Task Registrations_apply_in_their_order()
    {
        await using var provider = Build(static s =>
        {
            s.AddPooledTcp(Bound.Section([.. Good, "Defaults:MaxConnections=20", "Endpoints:cache:MaxWaiters=5"]));
            s.AddPooledTcp(static o => o.AddEndpoint("device", static e => e.Address = "127.0.0.1:1"));
            s.AddPooledTcp().AddEndpoint("Cache", static e => e.MaxWaiters = 6);
        });

        var settings = provider.GetRequiredService<SettingsSource>().Load();

        Assert.Equal(["cache", "device", "gateway"], settings.Endpoints.Keys.Order(StringComparer.Ordinal));
        Assert.Equal((20, 6), (settings.GetEndpoint("cache").MaxConnections, settings.GetEndpoint("cache").MaxWaiters));
        Assert.Equal(20, settings.GetEndpoint("device").MaxConnections);
        Assert.Single(provider.GetServices<PooledTcpClient>());
        Assert.Single(provider.GetServices<IHostedService>());
        Assert.Single(provider.GetServices<IValidateOptions<PooledTcpOptions>>());
    }

    [Fact]
    public void The_whole_configuration_is_refused()
    {
        var e = Assert.Throws<ArgumentException>(static () => new ServiceCollection().AddPooledTcp(new ConfigurationManager()));
        Assert.Equal(
            "This is the whole configuration. Pass the section: configuration.GetSection(\"PooledTcp\"). (Parameter 'section')", e.Message);
    }

    [Fact]
    public async Task Hooks_belong_to_their_endpoint()
    {
        Func<TcpConnectContext, CancellationToken, ValueTask<Socket>> connect =
            static (_, _) => ValueTask.FromException<Socket>(new NotSupportedException());
        await using var provider = Build(s => s.AddPooledTcp(Bound.Section(Good))
            .AddEndpoint("cache").WithHandshake<Login>().WithReset<Cleanup>().WithGoodbye<Logout>()
            .AddEndpoint("device", static e => e.Address = "127.0.0.1:1").WithConnectCallback(connect)
            .Services.AddSingleton<Dependency>());

        var hooks = Hooks(provider);

        Assert.Equal(["cache", "device"], hooks.Keys.Order(StringComparer.Ordinal));
        Assert.NotNull(hooks["CACHE"].Handshake);
        Assert.NotNull(hooks["cache"].Reset);
        Assert.Null(hooks["cache"].Connect);
        Assert.Equal("bye 7"u8, hooks["cache"].Goodbye!(7).Span);
        Assert.Equal(EndpointHooks.None with { Connect = connect }, hooks["device"]);
    }

    [Fact]
    public async Task A_hook_is_taken_from_the_container_or_made_with_what_it_needs_and_disposed_with_it()
    {
        var dependency = new Dependency();
        var provider = Build(s =>
        {
            s.AddSingleton(dependency);
            s.AddSingleton<Cleanup>();
            s.AddPooledTcp(Bound.Section(Good))
                .AddEndpoint("cache").WithHandshake<Login>().WithReset<Cleanup>()
                .AddEndpoint("gateway").WithHandshake<Login>().WithReset<Cleanup>();
        });
        await using (provider)
        {
            Make(provider);
            // One Login for each endpoint; the registered Cleanup is one.
            Assert.Equal(2, dependency.Logins.Count);
            Assert.NotNull(provider.GetRequiredService<Cleanup>());
            Assert.Equal(1, dependency.Cleanups);
        }

        Assert.All(dependency.Logins, static login => Assert.Equal(1, login.Disposals));
    }

    [Fact]
    public async Task A_registered_hook_is_disposed_once()
    {
        var dependency = new Dependency();
        await using (var provider = Build(s => s.AddSingleton(dependency).AddSingleton<Login>()
            .AddPooledTcp(Bound.Section(Good))
            .AddEndpoint("cache").WithHandshake<Login>().AddEndpoint("gateway").WithHandshake<Login>()))
        {
            Make(provider);
        }

        Assert.Equal(1, Assert.Single(dependency.Logins).Disposals);
    }

    [Fact]
    public async Task The_last_goodbye_wins_and_goes_before_that_of_the_options()
    {
        Func<object?, ReadOnlyMemory<byte>> goodbye = static _ => new byte[] { 1 };
        await using var provider = Build(s => s.AddPooledTcp(Bound.Section(Good))
            .AddEndpoint("cache", static e => e.Shutdown.GoodbyeProvider = new Logout()).WithGoodbye<Logout>().WithGoodbye(goodbye)
            .AddEndpoint("gateway", static e => e.Shutdown.GoodbyeProvider = new Logout()));

        var settings = provider.GetRequiredService<SettingsSource>().Load();
        var hooks = Hooks(provider);

        Assert.Same(goodbye, hooks["cache"].Over(settings.HooksOf("cache")).Goodbye);
        Assert.Equal("bye 8"u8, EndpointHooks.None.Over(settings.HooksOf("gateway")).Goodbye!(8).Span);
        Assert.Null(settings.HooksForAdHoc().Goodbye);
    }

    [Fact]
    public async Task A_scoped_hook_is_refused_when_scopes_are_validated()
    {
        await using var provider = Build(static s => s
            .AddScoped<Login>().AddScoped<Dependency>()
            .AddPooledTcp(Bound.Section(Good)).AddEndpoint("cache").WithHandshake<Login>());

        var e = Assert.Throws<InvalidOperationException>(() => Make(provider));
        Assert.Contains("scoped", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_hook_for_an_endpoint_that_nobody_configures_is_a_fault()
    {
        await using var provider = Build(static s => s.AddSingleton<Dependency>()
            .AddPooledTcp(Bound.Section(Good)).AddEndpoint("cash").WithHandshake<Login>());

        var e = Assert.ThrowsAny<OptionsValidationException>(() => provider.GetRequiredService<PooledTcpClient>());
        Assert.Equal(
            "1 setting is not valid:\n  PooledTcp:Endpoints:cash:Address: is required: write host:port, 10.0.0.1:port, [2001:db8::1]:port or unix:/path.",
            e.Message);
    }

    [Fact]
    public async Task Invalid_options_fail_for_whoever_asks()
    {
        await using var provider = Build(static s => s.AddPooledTcp(Bound.Section([.. Good, "Endpoints:cache:MaxWaiters=-1"])));

        Assert.ThrowsAny<OptionsValidationException>(() => provider.GetRequiredService<PooledTcpClient>());
        Assert.Throws<OptionsValidationException>(() => provider.GetRequiredService<IOptions<PooledTcpOptions>>().Value);
        Assert.ThrowsAny<OptionsValidationException>(() => provider.GetRequiredKeyedService<TcpPool>("cache"));
    }

    [Fact]
    public async Task Arguments_are_checked()
    {
        var services = new ServiceCollection();
        var endpoint = services.AddPooledTcp().AddEndpoint("cache");
        Assert.Equal("cache", endpoint.Name);
        Assert.Same(services, endpoint.Services);
        Assert.Throws<ArgumentNullException>(() => services.AddPooledTcp((IConfiguration)null!));
        Assert.Throws<ArgumentNullException>(() => services.AddPooledTcp((Action<PooledTcpOptions>)null!));
        Assert.Throws<ArgumentException>(() => endpoint.AddEndpoint(" "));
        Assert.Throws<ArgumentNullException>(() => endpoint.AddEndpoint("x", null!));
        Assert.Throws<ArgumentNullException>(() => endpoint.WithConnectCallback(null!));
        Assert.Throws<ArgumentNullException>(() => endpoint.WithGoodbye(null!));
        await using var provider = new ServiceCollection().AddPooledTcp().Services.BuildServiceProvider();
        Assert.NotNull(provider.GetRequiredService<PooledTcpClient>());
    }

    [Fact]
    public void The_container_can_be_disposed_synchronously()
    {
        var provider = Build(static s => s.AddPooledTcp(Bound.Section(Good)));
        provider.GetRequiredKeyedService<TcpPool>("cache");
        provider.Dispose();
    }

    [Fact]
    public async Task A_reload_reaches_the_client()
    {
        var configuration = new MutableConfiguration(Good);
        await using var provider = Build(s => s.AddPooledTcp(configuration.Section));
        var client = provider.GetRequiredService<PooledTcpClient>();
        Assert.Throws<ArgumentException>(() => client.GetPool("new"));

        configuration.Set([.. Good, "Endpoints:new:Address=127.0.0.1:1"]);

        Assert.Equal("new", client.GetPool("new").Name);
    }

    private static ServiceProvider Build(Action<IServiceCollection> register)
    {
        var services = new ServiceCollection();
        register(services);
        return services.BuildServiceProvider(new ServiceProviderOptions { ValidateScopes = true, ValidateOnBuild = true });
    }

    /// <summary>As the hosted service does at start, once the client is there.</summary>
    private static void Make(IServiceProvider provider)
    {
        foreach (EndpointHook hook in provider.GetServices<EndpointHook>())
        {
            hook.Make!(provider);
        }
    }

    private static IReadOnlyDictionary<string, EndpointHooks> Hooks(IServiceProvider provider) =>
        EndpointHook.Collect(provider.GetServices<EndpointHook>(), provider);

    private sealed class NeedsCache([FromKeyedServices("cache")] TcpPool pool)
    {
        public TcpPool Pool => pool;
    }

    private sealed class Dependency
    {
        public List<Login> Logins { get; } = [];

        public int Cleanups { get; set; }
    }

    private sealed class Login : ITcpHandshake, IDisposable
    {
        public Login(Dependency dependency) => dependency.Logins.Add(this);

        public int Disposals { get; private set; }

        public ValueTask<object?> HandshakeAsync(TcpLease connection, CancellationToken cancellationToken) => new((object?)null);

        public void Dispose() => Disposals++;
    }

    private sealed class Logout : IGoodbye
    {
        public ReadOnlyMemory<byte> GetFarewell(object? session) => Encoding.ASCII.GetBytes($"bye {session}");
    }

    private sealed class Cleanup : ITcpReset
    {
        public Cleanup(Dependency dependency) => dependency.Cleanups++;

        public ValueTask ResetAsync(TcpLease connection, CancellationToken cancellationToken) => default;
    }

    private sealed class TokenLogin([FromKeyedServices("auth")] TcpPool tokens) : ITcpHandshake
    {
        public ValueTask<object?> HandshakeAsync(TcpLease connection, CancellationToken cancellationToken) => new(tokens.Name);
    }

    private sealed class NeedsTheUnknown(IFormatProvider unknown) : ITcpHandshake
    {
        public ValueTask<object?> HandshakeAsync(TcpLease connection, CancellationToken cancellationToken) => new(unknown);
    }
}
