using System.Text;
using PooledTcp.Configuration;
using PooledTcp.Connections;
using PooledTcp.Telemetry;
using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Telemetry;

/// <summary>
/// What is sent and received, and what is configured to be sent, never comes into a log, at no level. What a hook puts into its
/// exception does, in one place.
/// </summary>
public sealed class LogSecretsTests
{
    private const string Secret = "hunter2";

    [Fact]
    public async Task No_payload_and_no_secret_is_logged()
    {
        RecordingLogger log = new();
        PooledTcpOptions options = new();
        options.AddEndpoint("cache", static endpoint =>
        {
            endpoint.Address = "10.1.0.1:7000";
            endpoint.Health.FailuresToOpen = 1;
            endpoint.Health.Probe = $"raw:ping {Secret}";
            endpoint.Health.ProbeReply = $"raw:pong {Secret}";
            endpoint.Health.LeaseWarningAfter = TimeSpan.FromSeconds(5);
            endpoint.Shutdown.Goodbye = $"raw:bye {Secret}";
        });
        ClientSettings settings = SettingsFactory.Create(options);
        EndpointHooks hooks = new()
        {
            Handshake = static async (lease, token) =>
            {
                await lease.SendAsync(Encoding.ASCII.GetBytes($"AUTH {Secret}"), token);
                return Secret;
            },
        };
        await using PoolHarness pool = PoolHarness.Automatic(settings.GetEndpoint("cache"), hooks.Over(settings.HooksOf("cache")), logger: log);

        // An exchange that goes well, and is out for long; then a probe that is answered wrongly.
        TcpLease lease = await pool.RentAsync();
        await lease.SendAsync(Encoding.ASCII.GetBytes($"SET {Secret}"), TestContext.Current.CancellationToken);
        FakeTransport transport = pool.Connector.Transports.Single();
        transport.Feed($"OK {Secret}");
        await lease.ReceiveAsync(new byte[64], TestContext.Current.CancellationToken);
        pool.Pass(TimeSpan.FromSeconds(10));
        PoolHarness.Return(lease);
        pool.Pass(TimeSpan.FromSeconds(35), step: TimeSpan.FromSeconds(35));
        await pool.UntilAsync(_ => transport.Sent.Any(static sent => Encoding.ASCII.GetString(sent) == $"ping {Secret}"));
        transport.Feed($"what {Secret}");
        await pool.UntilAsync(_ => log.Has("pooled_tcp.connection.probe_failed") && log.Count("pooled_tcp.connection.closed") == 1);

        // One with a reply unread, one that closes with a farewell, and a server that is away then.
        // Each in a second of its own, or its lines would be left out.
        pool.Time.Advance(ThrottledLogger.Interval);
        lease = await pool.RentAsync();
        pool.Connector.Transports.Last().Feed(Secret);
        lease.Discard();
        await pool.UntilAsync(_ => log.Count("pooled_tcp.connection.closed") == 2);
        pool.Time.Advance(ThrottledLogger.Interval);
        await pool.FillAsync(1);
        pool.Pool.Clear();
        await pool.UntilAsync(_ => log.Count("pooled_tcp.connection.closed") == 3);
        Assert.Equal(1, pool.Now.ClosedByMethod["goodbye"]);
        pool.Connector.Automatic = static _ => throw new IOException("refused");
        await Assert.ThrowsAsync<EndpointUnavailableException>(() => pool.RentAsync());
        await pool.UntilAsync(_ => log.Has("pooled_tcp.connection.dial_failed"));

        Assert.True(log.Has("pooled_tcp.lease.overdue"));
        Assert.All(
            ["opened", "closed", "dial_failed", "probe_failed"],
            kind => Assert.True(log.Has($"pooled_tcp.connection.{kind}"), kind));
        Assert.All(
            log.Entries,
            static entry => Assert.DoesNotContain(
                Secret, $"{entry.Text} {string.Join(' ', entry.Fields.Select(static field => field.Value))} {entry.Exception}", StringComparison.Ordinal));
    }

    [Fact]
    public async Task What_a_handshake_throws_is_logged_as_it_is_and_nowhere_else()
    {
        RecordingLogger log = new();
        PooledTcpOptions options = new();
        options.AddEndpoint("cache", static endpoint =>
        {
            endpoint.Address = "10.1.0.1:7000";
            endpoint.Health.FailuresToOpen = 1;
        });
        ClientSettings settings = SettingsFactory.Create(options);
        InvalidOperationException thrown = new($"the server does not take {Secret}");
        EndpointHooks hooks = new() { Handshake = (_, _) => throw thrown };
        await using PoolHarness pool = PoolHarness.Automatic(settings.GetEndpoint("cache"), hooks.Over(settings.HooksOf("cache")), logger: log);

        await Assert.ThrowsAsync<EndpointUnavailableException>(() => pool.RentAsync());
        await pool.UntilAsync(_ => log.Has("pooled_tcp.connection.dial_failed") && log.Has("pooled_tcp.breaker.opened"));

        RecordingLogger.Entry failed = log.Single("pooled_tcp.connection.dial_failed");
        Assert.Same(thrown, failed.Exception);
        Assert.Equal($"Pool {pool.Now.Name}: a dial failed.", failed.Text);
        Assert.All(log.Entries, entry => Assert.True(entry == failed || entry.Exception is null, entry.Name));
        Assert.All(
            log.Entries,
            static entry => Assert.DoesNotContain(
                Secret, $"{entry.Text} {string.Join(' ', entry.Fields.Select(static field => field.Value))}", StringComparison.Ordinal));
    }
}
