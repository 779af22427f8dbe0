// Published as a native program by .ci/run: what trimming or ahead-of-time compilation would break shows here,
// either as a warning of the publish (an error) or when it runs.
using System.Buffers;
using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Text;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using PooledTcp;
using PooledTcp.AotSmoke;

using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(30));
await FromCodeAsync(limit.Token);
await FromConfigurationAsync(limit.Token);
Console.WriteLine("aot smoke ok");

static async Task FromCodeAsync(CancellationToken cancellationToken)
{
    await using var server = new EchoServer();
    var options = new PooledTcpOptions();
    options.AddEndpoint("echo", endpoint => endpoint.Address = server.EndPoint.ToString());

    await using var client = new PooledTcpClient(options);
    var heard = new ConcurrentDictionary<string, int>();
    using var listener = Listen(heard);
    var first = await ExchangeAsync(client.GetPool("echo"), "direct", cancellationToken);
    var second = await ExchangeThroughPipesAsync(client.GetPool("echo"), "pipes", cancellationToken);
    ExpectReuse(server, first, second);
    var adHoc = await ExchangeAsync(client.GetPool(server.EndPoint), "ad hoc", cancellationToken);
    Expect(!adHoc.IsReused, "two keys never share a connection");
    listener.RecordObservableInstruments();
    Expect(heard.GetValueOrDefault("pooled_tcp.connection.wait_time") == 3, "every rent was measured");
    Expect(heard.GetValueOrDefault("pooled_tcp.connection.count") == 8, "four states of two pools were told");
}

static MeterListener Listen(ConcurrentDictionary<string, int> heard)
{
    var listener = new MeterListener
    {
        InstrumentPublished = static (instrument, listener) =>
        {
            if (instrument.Meter.Name == "PooledTcp")
            {
                listener.EnableMeasurementEvents(instrument);
            }
        },
    };
    listener.SetMeasurementEventCallback<long>((instrument, _, _, _) => heard.AddOrUpdate(instrument.Name, 1, static (_, n) => n + 1));
    listener.SetMeasurementEventCallback<double>((instrument, _, _, _) => heard.AddOrUpdate(instrument.Name, 1, static (_, n) => n + 1));
    listener.Start();
    return listener;
}

static async Task FromConfigurationAsync(CancellationToken cancellationToken)
{
    await using var server = new EchoServer();
    var configuration = new ConfigurationBuilder()
        .AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["PooledTcp:Defaults:RentTimeout"] = "00:00:10",
            ["PooledTcp:Defaults:KeepAlive:Count"] = "2",
            ["PooledTcp:Endpoints:echo:Address"] = server.EndPoint.ToString(),
            ["PooledTcp:Endpoints:echo:MaxConnections"] = "1",
        })
        .Build();
    await using var services = new ServiceCollection()
        .AddPooledTcp(configuration.GetSection("PooledTcp"))
        .Services
        .BuildServiceProvider();

    var pool = services.GetRequiredKeyedService<TcpPool>("echo");
    var first = await ExchangeAsync(pool, "configured", cancellationToken);
    var second = await ExchangeAsync(services.GetRequiredService<PooledTcpClient>().GetPool("echo"), "again", cancellationToken);
    ExpectReuse(server, first, second);
    await using var lease = await pool.RentAsync(cancellationToken);
    Expect(!pool.TryRent(out _), "the configured MaxConnections is the limit");
}

static async Task<(long Id, bool IsReused)> ExchangeAsync(TcpPool pool, string text, CancellationToken cancellationToken)
{
    await using var lease = await pool.RentAsync(cancellationToken);
    var request = Encoding.UTF8.GetBytes(text);
    var reply = new byte[request.Length];
    await lease.SendAsync(request, cancellationToken);
    for (var received = 0; received < reply.Length;)
    {
        var more = await lease.ReceiveAsync(reply.AsMemory(received), cancellationToken);
        Expect(more > 0, "the reply is complete");
        received += more;
    }

    Expect(reply.AsSpan().SequenceEqual(request), "the reply is the request's own");
    var seen = (lease.ConnectionId, lease.IsReused);
    lease.Complete();
    return seen;
}

static async Task<(long Id, bool IsReused)> ExchangeThroughPipesAsync(TcpPool pool, string text, CancellationToken cancellationToken)
{
    await using var lease = await pool.RentAsync(cancellationToken);
    var request = Encoding.UTF8.GetBytes(text);
    await lease.Output.WriteAsync(request, cancellationToken);
    var result = await lease.Input.ReadAtLeastAsync(request.Length, cancellationToken);
    Expect(result.Buffer.ToArray().AsSpan().SequenceEqual(request), "the piped reply is the request's own");
    lease.Input.AdvanceTo(result.Buffer.End);
    var seen = (lease.ConnectionId, lease.IsReused);
    lease.Complete();
    return seen;
}

static void ExpectReuse(EchoServer server, (long Id, bool IsReused) first, (long Id, bool IsReused) second)
{
    Expect(!first.IsReused, "the first exchange has a new connection");
    Expect(second.IsReused && second.Id == first.Id, "the second exchange has the first one's connection");
    Expect(server.Accepted == 1, "the server accepted one connection");
}

static void Expect(bool holds, string what)
{
    if (!holds)
    {
        throw new InvalidOperationException($"aot smoke failed: expected that {what}");
    }
}
