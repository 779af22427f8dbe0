using System.Buffers.Binary;

namespace PooledTcp.KernelTests.RealServers;

/// <summary>Protocol 3.0 (PostgreSQL manual, "Message Flow"): startup, trusted login, simple queries.</summary>
public sealed class PostgreSqlServer : ServerProgram
{
    private static readonly byte[] Startup = Message([], [0, 3, 0, 0, .. "user\0postgres\0database\0postgres\0\0"u8]);
    private static readonly byte[] SelectOne = Message("Q"u8, "SELECT 1\0"u8);

    public override string Name => "postgresql";

    public override string Goodbye => "postgresql";

    protected override string[] Needs => ["initdb", "postgres"];

    public override async ValueTask<object?> HandshakeAsync(TcpLease connection, CancellationToken cancellationToken)
    {
        await connection.Stream.WriteAsync(Startup, cancellationToken);
        await ReadUntilReadyAsync(connection.Stream, cancellationToken);
        return null;
    }

    public override async Task ExchangeAsync(Stream stream, CancellationToken cancellationToken)
    {
        await stream.WriteAsync(SelectOne, cancellationToken);
        string replies = await ReadUntilReadyAsync(stream, cancellationToken);
        if (replies != "TDCZ")
        {
            throw new InvalidDataException($"SELECT 1 was answered by {replies}.");
        }
    }

    protected override async Task<string[]> PrepareAsync(string folder, string address, int port, int? idleSeconds)
    {
        string data = Path.Combine(folder, "data");
        await ServerProcess.RunAsync(
            folder, Find("initdb")!, "--pgdata", data, "--username=postgres", "--auth=trust", "--locale=C", "--no-sync", "--no-instructions");

        // Who comes from 10.99.0.1 is not local to it.
        await File.AppendAllTextAsync(Path.Combine(data, "pg_hba.conf"), "host all all 10.99.0.0/24 trust\n");
        return
        [
            Find("postgres")!, "-D", data, "-p", $"{port}", "-k", "", "-c", $"listen_addresses={address}", "-c", "fsync=off",
            "-c", $"idle_session_timeout={idleSeconds ?? 0}s",
        ];
    }

    /// <summary>The types of the messages up to ReadyForQuery, in order.</summary>
    private static async Task<string> ReadUntilReadyAsync(Stream stream, CancellationToken cancellationToken)
    {
        string types = "";
        while (!types.EndsWith('Z'))
        {
            byte[] head = await stream.ReadExactlyAsync(5, cancellationToken);
            byte[] body = await stream.ReadExactlyAsync(BinaryPrimitives.ReadInt32BigEndian(head.AsSpan(1)) - 4, cancellationToken);
            types += (char)head[0];
            if (head[0] == 'E')
            {
                throw new IOException($"PostgreSQL said {System.Text.Encoding.UTF8.GetString(body)}");
            }
        }

        return types;
    }

    private static byte[] Message(ReadOnlySpan<byte> type, ReadOnlySpan<byte> body)
    {
        var length = new byte[4];
        BinaryPrimitives.WriteInt32BigEndian(length, body.Length + 4);
        return [.. type, .. length, .. body];
    }
}
