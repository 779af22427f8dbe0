namespace PooledTcp.IntegrationTests.Resp;

/// <summary>The server answered with an error.</summary>
public sealed class RespErrorException(string message) : Exception(message);

/// <summary>What a session may know: the number of the connection in the order of handshakes.</summary>
public sealed record RespSession(int Number);

/// <summary>AUTH on each new connection.</summary>
public sealed class RespAuth : ITcpHandshake
{
    private int _handshakes;

    /// <summary>As a secret store would deliver it: may change while the process runs.</summary>
    public string Password { get; set; } = "secret";

    public int Handshakes => _handshakes;

    public async ValueTask<object?> HandshakeAsync(TcpLease connection, CancellationToken cancellationToken)
    {
        RespReply reply = await connection.CommandAsync(cancellationToken, "AUTH", Password);
        return reply.IsError
            ? throw new RespErrorException(reply.Text!)
            : new RespSession(Interlocked.Increment(ref _handshakes));
    }
}

/// <summary>Back to database 0 before the next caller.</summary>
public sealed class RespSelectZero : ITcpReset
{
    public async ValueTask ResetAsync(TcpLease connection, CancellationToken cancellationToken)
    {
        RespReply reply = await connection.CommandAsync(cancellationToken, "SELECT", "0");
        if (reply.IsError)
        {
            throw new RespErrorException(reply.Text!);
        }
    }
}
