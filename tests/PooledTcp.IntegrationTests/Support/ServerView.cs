using System.Net;
using System.Net.Sockets;
using PooledTcp.IntegrationTests.Resp;
using Xunit;

namespace PooledTcp.IntegrationTests.Support;

/// <summary>What the server itself says about its clients, over a connection that is no pool's.</summary>
internal static class ServerView
{
    /// <summary>Clients connected by plain TCP, the one that asks not counted.</summary>
    public static async Task<int> CountClientsAsync(int port, CancellationToken cancellationToken)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(new IPEndPoint(IPAddress.Loopback, port), cancellationToken);
        await socket.SendAsync(RespReply.Command("CLIENT", "LIST"), cancellationToken);
        RespReply list = await new RespReader(socket.ReceiveAsync).ReadAsync(cancellationToken);
        Assert.False(list.IsError, list.Text);
        return list.Text!.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length - 1;
    }
}
