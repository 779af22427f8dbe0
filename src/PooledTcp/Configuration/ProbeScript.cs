namespace PooledTcp.Configuration;

/// <summary>
/// A probe as configuration writes it: what is sent, how the answer begins and how it ends. Compared by value.
/// </summary>
/// <param name="Question">What is sent.</param>
/// <param name="Begin">The first bytes of the answer; all of them when <paramref name="End"/> is empty.</param>
/// <param name="End">The last bytes, where what lies between may vary.</param>
internal sealed record ProbeScript(GoodbyeBytes Question, GoodbyeBytes Begin, GoodbyeBytes End)
{
    /// <summary>An answer beyond it is none.</summary>
    private const int MaxAnswer = 2048;

    /// <summary>PING (redis.io/commands/ping): the one answer in RESP2 and RESP3 alike, outside of subscriptions.</summary>
    public static readonly ProbeScript Redis = Of("*1\r\n$4\r\nPING\r\n"u8, "+PONG\r\n"u8, []);

    /// <summary>version (memcached, doc/protocol.txt, "Other commands"): answered without touching an item. Text protocol.</summary>
    public static readonly ProbeScript Memcached = Of("version\r\n"u8, "VERSION "u8, "\r\n"u8);

    /// <summary>In alphabetical order.</summary>
    public static IReadOnlyList<string> Names { get; } = ["memcached", "redis"];

    public static ProbeScript? Find(string name) =>
        name.Equals("redis", StringComparison.OrdinalIgnoreCase) ? Redis
        : name.Equals("memcached", StringComparison.OrdinalIgnoreCase) ? Memcached
        : null;

    /// <summary>Asks, and reads to the end of the answer. Throws when that is not the expected one.</summary>
    public async ValueTask RunAsync(TcpLease connection, CancellationToken cancellationToken)
    {
        await connection.SendAsync(Question.Memory, cancellationToken).ConfigureAwait(false);
        byte[] answer = new byte[End.IsEmpty ? Begin.Memory.Length : MaxAnswer];
        int read = 0;
        while (read < answer.Length && !IsComplete(answer.AsSpan(0, read)))
        {
            int received = await connection.ReceiveAsync(answer.AsMemory(read), cancellationToken).ConfigureAwait(false);
            if (received == 0)
            {
                throw new InvalidDataException("The server closed the connection instead of answering the probe.");
            }

            read += received;
            int known = Math.Min(read, Begin.Memory.Length);
            if (!answer.AsSpan(0, known).SequenceEqual(Begin.Memory.Span[..known]))
            {
                throw new InvalidDataException("The server's answer to the probe is not the expected one.");
            }

            // What follows the first end belongs to something else, also where that has the same end.
            int end = End.IsEmpty ? -1 : answer.AsSpan(known, read - known).IndexOf(End.Memory.Span);
            if (end >= 0 && known + end + End.Memory.Length < read)
            {
                throw new InvalidDataException("The server sent more than the answer to the probe.");
            }
        }

        if (!IsComplete(answer.AsSpan(0, read)))
        {
            throw new InvalidDataException("The server's answer to the probe has no end.");
        }
    }

    private static ProbeScript Of(ReadOnlySpan<byte> question, ReadOnlySpan<byte> begin, ReadOnlySpan<byte> end) =>
        new(new GoodbyeBytes(question.ToArray()), new GoodbyeBytes(begin.ToArray()), new GoodbyeBytes(end.ToArray()));

    private bool IsComplete(ReadOnlySpan<byte> answer) =>
        answer.Length >= Begin.Memory.Length + End.Memory.Length && answer.EndsWith(End.Memory.Span);
}
