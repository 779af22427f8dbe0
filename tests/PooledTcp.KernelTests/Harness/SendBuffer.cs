using System.Net.Sockets;
using Xunit;

namespace PooledTcp.KernelTests.Harness;

/// <summary>What the host allows a send buffer: net.core.wmem_max, which no namespace can change.</summary>
internal static class SendBuffer
{
    /// <summary>Skips the test where a message that nobody reads would not fit, and its sender would wait for ever.</summary>
    public static void SkipUnlessHolds(int bytes)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { SendBufferSize = 2 * bytes };

        // The kernel grants twice what is asked for, or twice its limit, and reckons with its own overhead.
        Assert.SkipWhen(
            socket.SendBufferSize < 2 * bytes,
            $"The send buffer is limited to {socket.SendBufferSize} bytes here (twice net.core.wmem_max), and {bytes} have to wait in it.");
    }
}
