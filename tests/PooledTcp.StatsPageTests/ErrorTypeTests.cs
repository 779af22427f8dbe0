using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using PooledTcp.StatsPageTests.Support;
using Xunit;

namespace PooledTcp.StatsPageTests;

/// <summary>Page and metrics call one failure by one name.</summary>
public sealed class ErrorTypeTests
{
    [Fact]
    public async Task The_last_dial_error_is_named_as_on_the_metric()
    {
        await using var server = new EchoServer();
        using Socket nobody = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        nobody.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        string mute = $"mute-{Guid.NewGuid():N}", refusing = $"refusing-{Guid.NewGuid():N}";
        var measured = new ConcurrentDictionary<string, string>(StringComparer.Ordinal);
        using var listener = new MeterListener();
        listener.InstrumentPublished = static (instrument, listener) =>
        {
            if (instrument.Name is "pooled_tcp.connection.create_time")
            {
                listener.EnableMeasurementEvents(instrument);
            }
        };
        listener.SetMeasurementEventCallback<double>((_, _, tags, _) =>
        {
            Dictionary<string, object?> all = new(tags.ToArray(), StringComparer.Ordinal);
            if (all.TryGetValue("error.type", out object? error))
            {
                measured[(string)all["pooled_tcp.pool.name"]!] = (string)error!;
            }
        });
        listener.Start();
        await using Site site = await Site.StartAsync(options =>
        {
            options.AddEndpoint(mute, e => (e.Address, e.ConnectTimeout, e.Handshake) = (server.EndPoint.ToString(), TimeSpan.FromMilliseconds(100), new Mute()));
            options.AddEndpoint(refusing, e => e.Address = nobody.LocalEndPoint!.ToString()!);
        });
        foreach ((string name, string expected) in new[] { (mute, "System.TimeoutException"), (refusing, "connection_refused") })
        {
            await Assert.ThrowsAnyAsync<PooledTcpException>(async () => (await site.Client.GetPool(name).RentAsync(Patience.Token)).Dispose());
            JsonElement pool = (await site.JsonOfNowAsync()).GetProperty("pools").EnumerateArray().Single(p => p.GetProperty("name").GetString() == name);
            Assert.Equal(expected, pool.GetProperty("last_connect_error").GetProperty("type").GetString());
            Assert.Equal(expected, measured[name]);
        }
    }

    /// <summary>Waits for a greeting that never comes.</summary>
    private sealed class Mute : ITcpHandshake
    {
        public async ValueTask<object?> HandshakeAsync(TcpLease connection, CancellationToken cancellationToken)
        {
            await Task.Delay(Timeout.Infinite, cancellationToken);
            return null;
        }
    }
}
