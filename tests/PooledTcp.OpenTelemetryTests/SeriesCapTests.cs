using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Time.Testing;
using PooledTcp.OpenTelemetryTests.Harness;
using Xunit;

namespace PooledTcp.OpenTelemetryTests;

/// <summary>Keys may be unbounded; series are not. The SDK stops at 2,000 per metric and throws the rest together.</summary>
public sealed class SeriesCapTests
{
    private const int Keys = 10_000;

    /// <summary>One key in so many is rented from: a failed dial is a few exceptions, and ten thousand take their time.</summary>
    private const int Rented = 4;

    /// <summary>One key in so many is reachable.</summary>
    private const int Reachable = 20;

    /// <summary>So many addresses that are not configured are told apart (TcpTelemetryOptions.ServerAddress).</summary>
    private const int ToldApart = 50;

    [Fact]
    public async Task Ten_thousand_addresses_are_fifty_and_one()
    {
        await using EchoServer server = new();
        PooledTcpOptions options = new();
        options.Defaults.ConnectCallback = async (context, token) =>
        {
            // The port tells which key it is.
            if (((IPEndPoint)context.EndPoint).Port % Reachable != 0)
            {
                throw new SocketException((int)SocketError.ConnectionRefused);
            }

            Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            await socket.ConnectAsync(new IPEndPoint(IPAddress.Loopback, server.Port), token);
            return socket;
        };

        // Its clock stands still: no pool goes away unused, and no idle connection is closed, however long this takes.
        using OwnMeters meters = new();
        await using PooledTcpClient client = new(options, meterFactory: meters, timeProvider: new FakeTimeProvider());
        using Measured measured = new();
        int served = 0;
        int refused = 0;
        await Parallel.ForAsync(1, Keys + 1, new ParallelOptions { MaxDegreeOfParallelism = 16 }, async (key, token) =>
        {
            TcpPool pool = client.GetPool(new IPEndPoint(IPAddress.Parse("10.9.8.7"), key));
            if (key % Rented != 0)
            {
                return;
            }

            try
            {
                (await pool.RentAsync(TimeSpan.FromMinutes(1), token)).Return();
                Interlocked.Increment(ref served);
            }
            catch (EndpointUnavailableException)
            {
                Interlocked.Increment(ref refused);
            }
        });
        Assert.Equal(Keys / Reachable, served);
        Assert.Equal(Keys / Rented, served + refused);
        Assert.Equal(Keys, client.Pools.Count);

        Assert.Equal(served, Read("count", series: 4 * (ToldApart + 1)).Where(IsIdle).Sum(static one => one.Value));
        Assert.Equal(0, Read("count", series: 4 * (ToldApart + 1)).Where(static one => !IsIdle(one)).Sum(static one => one.Value));
        Assert.Equal(100L * Keys, Read("max", ToldApart + 1).Sum(static one => one.Value));
        Assert.Equal(0, Read("pending_requests", ToldApart + 1).Sum(static one => one.Value));
        List<Measured.Series> waits = Read("wait_time", null);
        Assert.Equal(served, waits.Where(static one => !IsError(one)).Sum(static one => one.Value));
        Assert.Equal(refused, waits.Where(IsError).Sum(static one => one.Value));
        List<Measured.Series> dials = Read("create_time", null);
        Assert.Equal(served, dials.Where(static one => !IsError(one)).Sum(static one => one.Value));
        Assert.Equal(refused, dials.Where(IsError).Sum(static one => one.Value));
        Assert.Equal(served, Read("use_time", null).Sum(static one => one.Value));

        static bool IsIdle(Measured.Series one) => one.Attributes.StartsWith("pooled_tcp.connection.state=idle ", StringComparison.Ordinal);
        static bool IsError(Measured.Series one) => one.Attributes.StartsWith("error.type=", StringComparison.Ordinal);

        List<Measured.Series> Read(string metric, int? series)
        {
            List<Measured.Series> all = measured.Read($"pooled_tcp.connection.{metric}");
            Assert.DoesNotContain(all, static one => one.Attributes.Contains("otel.metric.overflow", StringComparison.Ordinal));

            // Other tests have left zeros of other addresses on the meter of the process.
            List<Measured.Series> adHoc = [.. all.Where(static one => one.Attributes.Contains("pooled_tcp.pool.name=ad_hoc server.address=10.9.8.7 ", StringComparison.Ordinal)
                || one.Attributes.EndsWith("pooled_tcp.pool.name=ad_hoc", StringComparison.Ordinal))];

            // Of a histogram an address has one series, or with the catch-all of both outcomes two.
            Assert.InRange(adHoc.Count, series ?? 1, series ?? (2 * (ToldApart + 1)));
            return adHoc;
        }
    }
}
