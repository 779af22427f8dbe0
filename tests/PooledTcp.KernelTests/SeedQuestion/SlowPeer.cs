using System.Net;
using System.Net.Sockets;
using PooledTcp.KernelTests.Harness;

namespace PooledTcp.KernelTests.SeedQuestion;

/// <summary>What a peer that reads late gets of a message whose sender has closed already.</summary>
internal static class SlowPeer
{
    /// <summary>More than the peer's receive buffer takes, less than the sender's send buffer does.</summary>
    public const int Written = 128 * 1024;

    /// <param name="Arrived">Bytes the peer read in the end.</param>
    /// <param name="Reset">The peer's last read ended in ConnectionReset, not in an end of stream.</param>
    public sealed record Reading(int Arrived, bool Reset);

    public static async Task<Reading> ReadAfterCloseAsync(Action<Socket>? beforeClose)
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.ReceiveBufferSize = 16 * 1024;
        listener.Bind(new IPEndPoint(IPAddress.Parse(NamespaceSettings.Server), 5001));
        listener.Listen();
        using (var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { SendBufferSize = 1024 * 1024 })
        {
            await client.ConnectAsync(listener.LocalEndPoint!);
            await client.SendAsync(new byte[Written]);
            beforeClose?.Invoke(client);
        }

        using Socket peer = await listener.AcceptAsync();
        byte[] buffer = new byte[4096];
        int arrived = 0;
        try
        {
            while (await peer.ReceiveAsync(buffer) is > 0 and int received)
            {
                arrived += received;
            }

            return new Reading(arrived, Reset: false);
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionReset)
        {
            return new Reading(arrived, Reset: true);
        }
    }
}
