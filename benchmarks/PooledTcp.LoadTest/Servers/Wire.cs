using System.Net.Sockets;

namespace PooledTcp.LoadTest.Servers;

/// <summary>One exchange as it is on the wire: these bytes go out, so many come back.</summary>
/// <param name="Request">Sent as they are.</param>
/// <param name="ReplyLength">Always the same, so that no contender has to parse.</param>
internal sealed record Wire(byte[] Request, int ReplyLength)
{
    public const int PayloadLength = 64;

    public static Wire Echo { get; } = new([.. Enumerable.Range(0, PayloadLength).Select(static i => (byte)i)], PayloadLength);

    /// <summary>A GET of <see cref="Key"/>, which holds 64 bytes: "$64\r\n", those, "\r\n".</summary>
    public static Wire Get { get; } = new([.. "*2\r\n$3\r\nGET\r\n$4\r\nload\r\n"u8], 5 + PayloadLength + 2);

    public const string Key = "load";

    /// <summary>Over a bare socket, for whoever has nothing better.</summary>
    public async Task ExchangeAsync(Socket socket, byte[] buffer, CancellationToken cancellationToken = default)
    {
        await socket.SendAsync(Request.AsMemory(), cancellationToken);
        int received = 0;
        while (received < ReplyLength)
        {
            int count = await socket.ReceiveAsync(buffer.AsMemory(received, ReplyLength - received), cancellationToken);
            received += count > 0 ? count : throw new EndOfStreamException("The server closed before it had answered.");
        }
    }
}
