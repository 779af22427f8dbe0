using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;
using PooledTcp.IntegrationTests.Resp;
using PooledTcp.IntegrationTests.Servers;
using PooledTcp.IntegrationTests.Support;
using Xunit;

namespace PooledTcp.IntegrationTests.Hosting;

/// <summary>An appsettings file on disk that is edited while the service works.</summary>
public sealed class ReloadTests(GarnetEmbedded server) : IClassFixture<GarnetEmbedded>
{
    private const int Limit = 60_000;
    private const string Rejected = "pooled_tcp.options.rejected";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact(Timeout = Limit)]
    public async Task An_edited_file_changes_the_limits_live_and_a_bad_edit_keeps_the_last_good_ones()
    {
        using var folder = new TempFolder();
        Write(folder, $$"""{ "PooledTcp": { "Endpoints": { "cache": { "Address": "{{server.Address}}", "MaxConnections": 2 } } } }""");
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        builder.Configuration.AddJsonFile(folder.File("appsettings.json"), optional: false, reloadOnChange: true);
        builder.Logging.AddFakeLogging();
        builder.Services.AddPooledTcp(builder.Configuration.GetSection("PooledTcp"));
        using IHost host = builder.Build();
        await host.StartAsync(Token);
        TcpPool pool = host.Services.GetRequiredKeyedService<TcpPool>("cache");
        FakeLogCollector log = host.Services.GetFakeLogCollector();
        await using TcpLease first = await pool.RentAsync(Token);
        await using TcpLease second = await pool.RentAsync(Token);
        Task<TcpLease> third = pool.RentAsync(Token).AsTask();
        await Eventually.TrueAsync(() => pool.GetSnapshot().Waiting == 1, () => $"{pool.GetSnapshot()}");

        // A raised limit serves who waits already; nothing is interrupted and no generation begins.
        Write(folder, $$"""{ "PooledTcp": { "Endpoints": { "cache": { "Address": "{{server.Address}}", "MaxConnections": 5 } } } }""");
        await using TcpLease lent = await third;
        Assert.Equal(5, pool.GetSnapshot().MaxConnections);
        Assert.Equal(0, pool.GetSnapshot().Generation);
        Assert.Equal("PONG", (await first.CommandAsync(Token, "PING")).Text);

        // An invalid edit is told, and changes nothing.
        Write(folder, $$"""{ "PooledTcp": { "Endpoints": { "cache": { "Address": "{{server.Address}}", "MaxConnections": -1 } } } }""");
        await LoggedAsync(log, Rejected, "PooledTcp:Endpoints:cache:MaxConnections");
        Assert.Equal(5, pool.GetSnapshot().MaxConnections);
        Assert.Equal("PONG", (await pool.CommandAsync(Token, "PING")).Text);

        // A lowered limit holds at once for newcomers and at their return for the others.
        Write(folder, $$"""{ "PooledTcp": { "Endpoints": { "cache": { "Address": "{{server.Address}}", "MaxConnections": 1 } } } }""");
        await Eventually.TrueAsync(() => pool.GetSnapshot().MaxConnections == 1, () => $"{pool.GetSnapshot()}");
        foreach (TcpLease lease in new[] { first, second, lent })
        {
            Assert.Equal("PONG", (await lease.CommandAsync(Token, "PING")).Text);
            lease.Complete();
            lease.Dispose();
        }

        await Eventually.TrueAsync(() => pool.GetSnapshot() is { Idle: 1, Used: 0 }, () => $"{pool.GetSnapshot()}");
        await KernelSockets.MatchAsync(pool, server.Port);

        // Another address is another generation.
        await using var other = new GarnetEmbedded();
        await other.StartAsync();
        Write(folder, $$"""{ "PooledTcp": { "Endpoints": { "cache": { "Address": "{{other.Address}}", "MaxConnections": 1 } } } }""");
        await Eventually.TrueAsync(() => pool.GetSnapshot().Generation == 1, () => $"{pool.GetSnapshot()}");
        Assert.Equal("PONG", (await pool.CommandAsync(Token, "PING")).Text);
        await KernelSockets.MatchAsync(pool, other.Port);
        await host.StopAsync(Token);
    }

    private static Task LoggedAsync(FakeLogCollector log, string eventName, string text) => Eventually.TrueAsync(
        () => log.GetSnapshot().Any(record => record.Id.Name == eventName && record.Message.Contains(text, StringComparison.Ordinal)),
        () => string.Join(Environment.NewLine, log.GetSnapshot().Select(static record => record.Message)));

    /// <summary>In one step, so that no watcher sees half a file.</summary>
    private static void Write(TempFolder folder, string json)
    {
        File.WriteAllText(folder.File("next.json"), json);
        File.Move(folder.File("next.json"), folder.File("appsettings.json"), overwrite: true);
    }
}
