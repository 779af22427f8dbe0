using System.Globalization;

namespace PooledTcp.KernelTests.RealServers;

/// <summary>
/// SMTP by a package that brings no service and displaces no mail server of the machine, as every MTA of Debian would:
/// they exclude each other.
/// </summary>
public sealed class AiosmtpdServer : ServerProgram
{
    // Debian's own: another Python that comes first in the PATH does not see Debian's packages.
    private const string Python = "/usr/bin/python3";

    // Its command line has no idle timeout, which its class has; 300 s is the default there.
    private const string Script = """
        import asyncio, sys
        from aiosmtpd.handlers import Sink
        from aiosmtpd.smtp import SMTP
        async def serve():
            session = lambda: SMTP(Sink(), hostname="mx.test", timeout=float(sys.argv[3]))
            server = await asyncio.get_running_loop().create_server(session, sys.argv[1], int(sys.argv[2]))
            await server.serve_forever()
        asyncio.run(serve())
        """;

    public override string Name => "python3-aiosmtpd";

    public override string Goodbye => "smtp";

    protected override string[] Needs => [Python, "/usr/lib/python3/dist-packages/aiosmtpd/smtp.py"];

    public override async ValueTask<object?> HandshakeAsync(TcpLease connection, CancellationToken cancellationToken)
    {
        Stream stream = connection.Stream;
        await stream.ExpectAsync("220 ", cancellationToken);
        await stream.SayAsync("EHLO client.test\r\n", cancellationToken);
        while ((await stream.ExpectAsync("250", cancellationToken))[3] == '-')
        {
        }

        return null;
    }

    public override async Task ExchangeAsync(Stream stream, CancellationToken cancellationToken) =>
        await stream.AskAsync("NOOP\r\n", "250 ", cancellationToken);

    protected override Task<string[]> PrepareAsync(string folder, string address, int port, int? idleSeconds) =>
        Task.FromResult<string[]>([Python, "-c", Script, address, $"{port}", (idleSeconds ?? 300).ToString(CultureInfo.InvariantCulture)]);
}
