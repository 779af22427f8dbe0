namespace PooledTcp.IntegrationTests.Resp;

/// <summary>Whole exchanges.</summary>
internal static class RespPoolExtensions
{
    /// <summary>One command on a connection of the pool, completed once its reply was read.</summary>
    public static async Task<RespReply> CommandAsync(this TcpPool pool, byte[] command, CancellationToken cancellationToken)
    {
        await using TcpLease lease = await pool.RentAsync(cancellationToken);
        RespReply reply = await lease.CommandAsync(command, cancellationToken);
        lease.Complete();
        return reply;
    }

    /// <summary>One command on this lease; completing it is left to the caller.</summary>
    public static async Task<RespReply> CommandAsync(this TcpLease lease, byte[] command, CancellationToken cancellationToken)
    {
        await lease.SendAsync(command, cancellationToken);
        return await new RespReader(lease.ReceiveAsync).ReadAsync(cancellationToken);
    }

    /// <summary>The same, in words.</summary>
    public static Task<RespReply> CommandAsync(this TcpLease lease, CancellationToken cancellationToken, params ReadOnlySpan<string> words) =>
        lease.CommandAsync(RespReply.Command(words), cancellationToken);

    public static Task<RespReply> CommandAsync(this TcpPool pool, CancellationToken cancellationToken, params ReadOnlySpan<string> words) =>
        pool.CommandAsync(RespReply.Command(words), cancellationToken);
}
