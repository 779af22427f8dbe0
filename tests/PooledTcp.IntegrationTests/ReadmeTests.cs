using System.Collections;
using System.Globalization;
using System.Net.Sockets;
using System.Reflection;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using PooledTcp.Configuration;
using PooledTcp.IntegrationTests.Servers;
using Xunit;

namespace PooledTcp.IntegrationTests;

/// <summary>What README.md shows compiles, runs and means what it says.</summary>
public sealed class ReadmeTests(GarnetEmbedded server) : IClassFixture<GarnetEmbedded>
{
    private const int Limit = 60_000;

    private static readonly string Repository = FindRepository();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact(Timeout = Limit)]
    public async Task The_usage_example_runs_again_and_again_on_one_connection()
    {
        await using PooledTcpClient client = server.NewClient();
        TcpPool pool = client.GetPool("server");
        for (int i = 0; i < 5; i++)
        {
            Assert.Equal("+PONG\r\n", await UseAsync(pool, Token));
        }

        Assert.Equal(1, pool.GetSnapshot().Created);
    }

    [Fact]
    public void The_usage_example_in_the_readme_is_the_one_that_runs_here()
    {
        string[] tested = Between(File.ReadAllLines(ThisFile()), "// <readme:usage>", "// </readme:usage>");
        string[] shown = CodeBlock("<!-- usage -->");

        Assert.Equal(tested, shown);
        Assert.InRange(shown.Length, 5, 10);
    }

    [Fact(Timeout = Limit)]
    public async Task The_appsettings_example_loads_and_every_setting_in_it_arrives()
    {
        string json = string.Join('\n', CodeBlock("<!-- appsettings -->"));
        IConfigurationRoot configuration = new ConfigurationBuilder()
            .AddJsonStream(new MemoryStream(Encoding.UTF8.GetBytes(json)))
            .Build();
        JsonObject section = JsonNode.Parse(json)!["PooledTcp"]!.AsObject();
        JsonObject endpoints = section["Endpoints"]!.AsObject();
        JsonObject defaults = section["Defaults"]!.AsObject();
        var services = new ServiceCollection();
        IPooledTcpBuilder builder = services.AddPooledTcp(configuration.GetSection("PooledTcp"));
        foreach ((string name, _) in endpoints)
        {
            // MinIdleConnections would dial the example's address, wherever that is.
            builder.AddEndpoint(name).WithConnectCallback(static (_, _) => throw new SocketException((int)SocketError.HostDown));
        }

        await using ServiceProvider provider = services.BuildServiceProvider();
        PooledTcpOptions options = provider.GetRequiredService<IOptions<PooledTcpOptions>>().Value;

        Assert.NotEmpty(endpoints);
        Assert.Equal(endpoints.Select(static endpoint => endpoint.Key).Order(), options.Endpoints.Keys.Order());
        foreach ((string name, JsonNode? endpoint) in endpoints)
        {
            AssertArrived(endpoint!.AsObject(), options.Endpoints[name]);
            AssertArrived(Without(defaults, endpoint.AsObject()), options.Endpoints[name]);

            TcpPool pool = provider.GetRequiredKeyedService<TcpPool>(name);
            Assert.Equal(SettingsFactory.Create(options).Endpoints[name], pool.Core.Settings);
            Assert.Equal(options.Endpoints[name].Address, pool.Core.Settings.Address.ToString());
            Assert.True(pool.Core.Settings.ConnectTimeout < pool.Core.Settings.RentTimeout, "A dial should end before the rent does.");
        }

        AssertArrived(defaults, options.Defaults);
    }

    private static async Task<string> UseAsync(TcpPool cache, CancellationToken ct)
    {
        // <readme:usage>
        await using TcpLease lease = await cache.RentAsync(ct); // cache: a TcpPool, by [FromKeyedServices("cache")]
        await lease.SendAsync("PING\r\n"u8.ToArray(), ct);
        byte[] reply = new byte[512];
        int length = 0;
        while (!reply.AsSpan(0, length).EndsWith("\r\n"u8)) // a reply may arrive in pieces
        {
            int received = await lease.ReceiveAsync(reply.AsMemory(length), ct);
            length += received > 0 ? received : throw new EndOfStreamException();
        }
        lease.Complete(); // the last byte was read: from here on, others may have the connection
        // </readme:usage>
        return Encoding.ASCII.GetString(reply, 0, length);
    }

    /// <summary>Each value in the JSON against the property of its name.</summary>
    private static void AssertArrived(JsonObject json, object options)
    {
        foreach ((string name, JsonNode? value) in json)
        {
            PropertyInfo? property = options.GetType().GetProperty(name);
            Assert.True(property is not null, $"{options.GetType().Name} has no {name}.");
            object? actual = property.GetValue(options);
            if (value is JsonObject nested)
            {
                AssertArrived(nested, actual!);
            }
            else if (value is JsonArray list)
            {
                Assert.Equal(list.Select(static item => (object)item!.ToString()), ((IEnumerable)actual!).Cast<object>());
            }
            else
            {
                string text = value!.ToString();
                object expected = actual switch
                {
                    TimeSpan => text == "Infinite" ? Timeout.InfiniteTimeSpan : TimeSpan.Parse(text, CultureInfo.InvariantCulture),
                    Enum => Enum.Parse(actual.GetType(), text),
                    _ => Convert.ChangeType(text, actual!.GetType(), CultureInfo.InvariantCulture),
                };
                Assert.Equal(expected, actual);
            }
        }
    }

    /// <summary>The defaults that an endpoint does not replace.</summary>
    private static JsonObject Without(JsonObject defaults, JsonObject endpoint)
    {
        var inherited = new JsonObject();
        foreach ((string name, JsonNode? value) in defaults)
        {
            if (!endpoint.TryGetPropertyValue(name, out JsonNode? own))
            {
                inherited[name] = value!.DeepClone();
            }
            else if (own is JsonObject nested && value is JsonObject)
            {
                inherited[name] = Without(value.AsObject(), nested);
            }
        }

        return inherited;
    }

    /// <summary>The fenced block that follows a marker.</summary>
    private static string[] CodeBlock(string marker)
    {
        string[] after = [.. File.ReadAllLines(Path.Combine(Repository, "README.md")).SkipWhile(line => line.Trim() != marker)];
        Assert.True(after.Length > 0, $"README.md has no {marker}");
        string[] block = [.. after.SkipWhile(static line => !line.StartsWith("```", StringComparison.Ordinal)).Skip(1)
            .TakeWhile(static line => !line.StartsWith("```", StringComparison.Ordinal)).Select(static line => line.Trim())];
        Assert.True(block.Length > 0, $"README.md has no code block under {marker}");
        return block;
    }

    private static string[] Between(string[] lines, string begin, string end) =>
    [
        .. lines.SkipWhile(line => line.Trim() != begin).Skip(1).TakeWhile(line => line.Trim() != end).Select(static line => line.Trim()),
    ];

    private static string ThisFile() => Path.Combine(Repository, "tests", "PooledTcp.IntegrationTests", "ReadmeTests.cs");

    private static string FindRepository()
    {
        string? folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "PooledTcp.sln")))
        {
            folder = Path.GetDirectoryName(folder) ?? throw new DirectoryNotFoundException("PooledTcp.sln is in no folder above the tests.");
        }

        return folder;
    }
}
