using System.Buffers;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Time.Testing;
using PooledTcp.AspNetCore;
using Xunit;

namespace PooledTcp.AspNetCoreTests;

/// <summary>The order is UseClosePolicy, UseHttps, UseCloseNotify, handler.</summary>
public sealed class TlsTests
{
    private const int Connections = 10;
    private const byte Alert = 21;

    private static readonly TimeSpan FlushTimeout = new ClosePolicyOptions().FlushTimeout;
    private static readonly X509Certificate2 Certificate = CreateCertificate();

    private static CancellationToken Cancellation => Patience.Token;

    [Theory]
    [InlineData(ClosingSide.Server, SslProtocols.Tls12)]
    [InlineData(ClosingSide.Server, SslProtocols.Tls13)]
    [InlineData(ClosingSide.Client, SslProtocols.Tls12)]
    [InlineData(ClosingSide.Client, SslProtocols.Tls13)]
    public async Task TLS_ends_with_a_close_notify_and_the_TIME_WAIT_is_where_it_should_be(ClosingSide side, SslProtocols version)
    {
        await using var server = await Server.StartAsync(
            Server.EchoLinesAsync, options => options.ClosesFirst = side, layers: listen => listen.UseHttps(Certificate).UseCloseNotify());

        await Task.WhenAll(Enumerable.Range(0, Connections).Select(async _ =>
        {
            using var client = await Client.ConnectAsync(server);
            var (text, records) = await TalkAsync(client, version, "hello\nQUIT\n");
            Assert.Equal("hello\nBYE\n", text);
            if (version == SslProtocols.Tls12)
            {
                // In TLS 1.3 an alert does not show from outside.
                Assert.Equal(Alert, records[^1]);
            }
        }));

        if (side == ClosingSide.Client)
        {
            await Kernel.ExpectAsync(server.EndPoint, new(Connections, 0, 0, 0));
        }
        else
        {
            // The client closes on the close_notify, which the kernel holds back for our FIN, though for 200 ms at most: on a
            // machine that stands still for so long a few clients are first.
            await Kernel.ExpectAsync(server.EndPoint, kernel => kernel is { ServerTimeWait: > Connections / 2, ServerFinWait2: 0, Live: 0 });
        }
    }

    [Fact]
    public async Task Kestrel_alone_sends_no_close_notify()
    {
        await using var server = await Server.StartListeningAsync(listen => listen.UseHttps(Certificate).Run(Server.EchoLinesAsync));
        using var client = await Client.ConnectAsync(server);

        var (text, records) = await TalkAsync(client, SslProtocols.Tls12, "QUIT\n");

        Assert.Equal("BYE\n", text);
        Assert.DoesNotContain(Alert, records);
    }

    [Fact]
    public async Task What_the_handler_left_unflushed_goes_before_the_close_notify()
    {
        await using var server = await Server.StartAsync(
            connection =>
            {
                var bytes = "BYE\n"u8;
                bytes.CopyTo(connection.Transport.Output.GetSpan(bytes.Length));
                connection.Transport.Output.Advance(bytes.Length);
                return Task.CompletedTask;
            },
            layers: listen => listen.UseHttps(Certificate).UseCloseNotify());
        using var client = await Client.ConnectAsync(server);

        Assert.Equal("BYE\n", (await TalkAsync(client, SslProtocols.Tls13, "")).Text);
    }

    [Fact]
    public async Task A_failed_handler_says_no_close_notify()
    {
        await using var server = await Server.StartAsync(
            async connection =>
            {
                await Server.SayAsync(connection, "half a rep");
                throw new InvalidDataException("not my protocol");
            },
            layers: listen => listen.UseHttps(Certificate).UseCloseNotify());
        using var client = await Client.ConnectAsync(server);

        var (text, records) = await TalkAsync(client, SslProtocols.Tls12, "");

        Assert.Equal("half a rep", text);
        Assert.DoesNotContain(Alert, records);
    }

    [Fact]
    public async Task A_stop_ends_TLS_in_order()
    {
        var answered = new TaskCompletionSource();
        await using var server = await Server.StartAsync(
            async connection =>
            {
                var read = await connection.Transport.Input.ReadAsync(Cancellation);
                connection.Transport.Input.AdvanceTo(read.Buffer.End);
                await Server.SayAsync(connection, "hello\n");
                answered.SetResult();
                await Server.EchoLinesAsync(connection);
            },
            layers: listen => listen.UseHttps(Certificate).UseCloseNotify());
        using var client = await Client.ConnectAsync(server);
        var talk = TalkAsync(client, SslProtocols.Tls12, "hello\n");
        await answered.Task.WaitAsync(Cancellation);

        await server.StopAsync();

        var (text, records) = await talk;
        Assert.Equal("hello\n", text);
        Assert.Equal(Alert, records[^1]);
    }

    [Theory]
    [InlineData("UseClosePolicy must be called once per endpoint, and before UseHttps", true)]
    [InlineData("UseCloseNotify must be called after UseHttps", false)]
    public async Task A_wrong_order_is_named(string message, bool policyAfterTls)
    {
        await using var server = await Server.StartListeningAsync(listen =>
            (policyAfterTls ? listen.UseHttps(Certificate).UseClosePolicy() : listen.UseClosePolicy().UseCloseNotify()).Run(Server.EchoLinesAsync));
        using var client = await Client.ConnectAsync(server);
        if (policyAfterTls)
        {
            await TalkAsync(client, SslProtocols.Tls13, "");
        }
        else
        {
            await client.ReadToEndAsync();
            client.Dispose();
        }

        // Kestrel logs it after the close.
        await server.StopAsync();
        Assert.Contains(server.Logged.Errors, error => error.Contains(message, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_TLS_client_that_never_reads_is_reset_after_one_FlushTimeout(bool handlerFails)
    {
        var time = new FakeTimeProvider();
        var ended = new TaskCompletionSource();
        await using var server = await Server.StartAsync(
            connection =>
            {
                // Never flushed: it is left to the layers on the way out.
                connection.Transport.Output.Write(new byte[30_000_000]);
                ended.SetResult();
                return handlerFails ? throw new InvalidDataException("gave up") : Task.CompletedTask;
            },
            time: time,
            layers: listen => listen.UseHttps(Certificate).UseCloseNotify());
        using var client = await Client.ConnectAsync(server);
        await using var tls = await AuthenticateAsync(new NetworkStream(client.Socket), SslProtocols.Tls13);
        await ended.Task.WaitAsync(Cancellation);

        // Once, and some more because it starts a little after what we have just seen: two would never be over.
        while (!server.Logged.Closes.Any() && time.GetUtcNow() - time.Start < FlushTimeout * 1.5)
        {
            await Task.Delay(20, Cancellation);
            time.Advance(FlushTimeout / 50);
        }

        await server.WaitForCloseAsync();
        Assert.EndsWith(", Abort.", Assert.Single(server.Logged.Closes), StringComparison.Ordinal);
        await Kernel.ExpectAsync(server.EndPoint, new(0, 0, 0, 0));
    }

    [Fact]
    public async Task TLS_without_UseCloseNotify_is_refused_and_says_why()
    {
        await using var server = await Server.StartAsync(Server.EchoLinesAsync, layers: listen => listen.UseHttps(Certificate));

        // Refused so early that a slow client meets the reset when it connects.
        var error = await Record.ExceptionAsync(async () =>
        {
            using var client = await Client.ConnectAsync(server);
            await TalkAsync(client, SslProtocols.Tls13, "hello\n");
        });

        Assert.True(error is IOException or SocketException, error?.ToString() ?? "It was served.");

        // Kestrel logs it after the close.
        await server.StopAsync();
        Assert.Contains(server.Logged.Errors, error => error.Contains("UseCloseNotify must be called right after UseHttps", StringComparison.Ordinal));
    }

    /// <summary>Sends, then reads to the end and closes; with the types of the TLS records that came.</summary>
    private static async Task<(string Text, IReadOnlyList<byte> Records)> TalkAsync(Client client, SslProtocols version, string say)
    {
        await using var wire = new RecordingStream(client.Socket);
        await using var tls = await AuthenticateAsync(wire, version);
        await tls.WriteAsync(Encoding.ASCII.GetBytes(say), Cancellation);
        using var reader = new StreamReader(tls, Encoding.ASCII, leaveOpen: true);
        var text = await reader.ReadToEndAsync(Cancellation);
        client.Dispose();
        return (text, wire.RecordTypes());
    }

    private static async Task<SslStream> AuthenticateAsync(NetworkStream wire, SslProtocols version)
    {
        var tls = new SslStream(wire, leaveInnerStreamOpen: false);
        await tls.AuthenticateAsClientAsync(
            new SslClientAuthenticationOptions
            {
                TargetHost = "localhost",
                EnabledSslProtocols = version,
                RemoteCertificateValidationCallback = static (_, shown, _, _) => Certificate.Equals(shown),
            },
            Cancellation);
        return tls;
    }

    private static X509Certificate2 CreateCertificate()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256);
        using var certificate = request.CreateSelfSigned(DateTimeOffset.UnixEpoch.AddYears(50), DateTimeOffset.UnixEpoch.AddYears(130));
        return X509CertificateLoader.LoadPkcs12(certificate.Export(X509ContentType.Pfx), null);
    }

    /// <summary>Keeps what was received, to look at the record headers: type, version (2), length (2).</summary>
    private sealed class RecordingStream(Socket socket) : NetworkStream(socket, ownsSocket: false)
    {
        private readonly List<byte> _received = [];

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            var count = await base.ReadAsync(buffer, cancellationToken);
            _received.AddRange(buffer.Span[..count]);
            return count;
        }

        public List<byte> RecordTypes()
        {
            var types = new List<byte>();
            for (var at = 0; at + 5 <= _received.Count; at += 5 + (_received[at + 3] << 8 | _received[at + 4]))
            {
                types.Add(_received[at]);
            }

            return types;
        }
    }
}
