using System.Net;
using System.Net.Sockets;

namespace PooledTcp.IntegrationTests.Servers;

/// <summary>Sends back what it receives.</summary>
internal sealed class EchoServer(EndPoint endPoint) : LineServer(endPoint)
{
    protected override async Task ServeAsync(Socket client, CancellationToken cancellationToken)
    {
        var buffer = new byte[16 * 1024];
        int received;
        while ((received = await client.ReceiveAsync(buffer, cancellationToken)) > 0)
        {
            await client.SendAsync(buffer.AsMemory(0, received), cancellationToken);
        }
    }
}
