namespace PooledTcp.KernelTests.RealServers;

/// <summary>The MySQL protocol: greeting, login without a password, COM_PING (MySQL manual, "Connection Phase", "Command Phase").</summary>
public sealed class MariaDbServer : ServerProgram
{
    // CLIENT_LONG_PASSWORD, CLIENT_PROTOCOL_41, CLIENT_SECURE_CONNECTION; packets up to 16 MB; utf8; 23 reserved; user; no password.
    private static readonly byte[] Login = [0x01, 0x82, 0, 0, 0, 0, 0, 1, 33, .. new byte[23], .. "root\0"u8, 0];

    public override string Name => "mariadb-server-core";

    public override string Goodbye => "mysql";

    public override IdleClose IdleClose => IdleClose.Reset;

    protected override string[] Needs => ["mariadbd"];

    public override async ValueTask<object?> HandshakeAsync(TcpLease connection, CancellationToken cancellationToken)
    {
        await ReadPacketAsync(connection.Stream, 10, cancellationToken);
        await connection.Stream.WriteAsync((byte[])[(byte)Login.Length, 0, 0, 1, .. Login], cancellationToken);
        await ReadPacketAsync(connection.Stream, 0, cancellationToken);
        return null;
    }

    public override async Task ExchangeAsync(Stream stream, CancellationToken cancellationToken)
    {
        await stream.WriteAsync((byte[])[1, 0, 0, 0, 0x0E], cancellationToken);
        await ReadPacketAsync(stream, 0, cancellationToken);
    }

    // Without grant tables no database need be installed first, and without InnoDB no 100 MB of log be written.
    protected override Task<string[]> PrepareAsync(string folder, string address, int port, int? idleSeconds) =>
        Task.FromResult<string[]>(
        [
            Find("mariadbd")!, "--no-defaults", $"--datadir={folder}", $"--bind-address={address}", $"--port={port}", "--socket=",
            "--skip-networking=0", "--skip-grant-tables", "--skip-innodb", "--default-storage-engine=MyISAM",
            $"--pid-file={folder}/pid", $"--wait-timeout={idleSeconds ?? 28800}",
        ]);

    /// <param name="stream">Where from.</param>
    /// <param name="kind">Its first byte: 10 is the greeting, 0 is OK.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    private static async Task ReadPacketAsync(Stream stream, byte kind, CancellationToken cancellationToken)
    {
        byte[] head = await stream.ReadExactlyAsync(4, cancellationToken);
        byte[] body = await stream.ReadExactlyAsync(head[0] | (head[1] << 8) | (head[2] << 16), cancellationToken);
        if (body[0] != kind)
        {
            throw new InvalidDataException($"Expected a packet {kind}, and the server sent {Convert.ToHexString(body)}.");
        }
    }
}
