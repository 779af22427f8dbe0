using System.Text;

namespace PooledTcp.KernelTests.RealServers;

/// <summary>Reading and writing text protocols. Byte by byte, so that nothing is read that belongs to a later reply.</summary>
internal static class Wire
{
    public static async Task SayAsync(this Stream stream, string text, CancellationToken cancellationToken) =>
        await stream.WriteAsync(Encoding.ASCII.GetBytes(text), cancellationToken);

    /// <summary>A command, and its reply of one line.</summary>
    public static async Task<string> AskAsync(this Stream stream, string command, string expected, CancellationToken cancellationToken)
    {
        await stream.SayAsync(command, cancellationToken);
        return await stream.ExpectAsync(expected, cancellationToken);
    }

    /// <summary>The next line, which must begin so.</summary>
    public static async Task<string> ExpectAsync(this Stream stream, string start, CancellationToken cancellationToken)
    {
        string line = await stream.ReadLineAsync(cancellationToken);
        return line.StartsWith(start, StringComparison.Ordinal)
            ? line
            : throw new InvalidDataException($"Expected '{start}', and the server said '{line}'.");
    }

    public static async Task<string> ReadLineAsync(this Stream stream, CancellationToken cancellationToken)
    {
        var line = new StringBuilder();
        while (true)
        {
            char c = (char)(await stream.ReadExactlyAsync(1, cancellationToken))[0];
            if (c == '\n')
            {
                return line.ToString().TrimEnd('\r');
            }

            line.Append(c);
        }
    }

    public static async Task<byte[]> ReadExactlyAsync(this Stream stream, int count, CancellationToken cancellationToken)
    {
        var bytes = new byte[count];
        await stream.ReadExactlyAsync(bytes, cancellationToken);
        return bytes;
    }
}
