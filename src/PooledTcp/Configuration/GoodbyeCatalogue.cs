using System.Collections.Frozen;

namespace PooledTcp.Configuration;

/// <summary>
/// Farewells of well-known protocols: what a client says to make the server close first, between two exchanges and after
/// its login.
/// </summary>
/// <remarks>
/// <list type="bullet">
/// <item>redis: <c>QUIT</c> (redis.io/commands/quit; valkey.io/commands/quit). Deprecated since Redis 7.2 because it
/// leaves the TIME-WAIT with the server, which is what it is wanted for here; still answered and obeyed in 8.6 (its
/// src/commands/quit.json). As an array (RESP specification, "Sending commands"), since proxies refuse inline commands.</item>
/// <item>memcached: <c>quit</c> of the text protocol (memcached, doc/protocol.txt, "Other commands"). Not for the binary one.</item>
/// <item>smtp: <c>QUIT</c>, RFC 5321 section 4.1.1.10: the server sends 221 and closes.</item>
/// <item>pop3: <c>QUIT</c>, RFC 1939 sections 5 and 6. After a login it also carries out the deletions that were asked for.</item>
/// <item>imap: <c>LOGOUT</c>, RFC 9051 section 6.1.3: the server sends BYE and closes. Every command has a tag (section 2.2.1);
/// this one is a word that no client counts up to.</item>
/// <item>ftp: <c>QUIT</c> on the control connection, RFC 959 section 4.1.1.</item>
/// <item>postgresql: Terminate, <c>'X'</c> and the length 4 (PostgreSQL manual, "Message Formats" and "Termination").</item>
/// <item>mysql: COM_QUIT (MySQL and MariaDB, "Text protocol"): a packet of length 1 (three bytes, low first), sequence number
/// 0, command 1.</item>
/// <item>stomp: <c>DISCONNECT</c>, an empty header and the NUL that ends a frame (STOMP 1.2, "DISCONNECT"). Without a receipt
/// header: the server's FIN is the receipt. The specification leaves the server free not to close; ActiveMQ and RabbitMQ do.</item>
/// </list>
/// </remarks>
internal static class GoodbyeCatalogue
{
    private static readonly FrozenDictionary<string, byte[]> Farewells = new Dictionary<string, byte[]>(StringComparer.Ordinal)
    {
        ["redis"] = "*1\r\n$4\r\nQUIT\r\n"u8.ToArray(),
        ["memcached"] = "quit\r\n"u8.ToArray(),
        ["smtp"] = "QUIT\r\n"u8.ToArray(),
        ["pop3"] = "QUIT\r\n"u8.ToArray(),
        ["imap"] = "bye LOGOUT\r\n"u8.ToArray(),
        ["ftp"] = "QUIT\r\n"u8.ToArray(),
        ["postgresql"] = [(byte)'X', 0, 0, 0, 4],
        ["mysql"] = [1, 0, 0, 0, 1],
        ["stomp"] = "DISCONNECT\n\n\0"u8.ToArray(),
    }.ToFrozenDictionary(StringComparer.OrdinalIgnoreCase);

    /// <summary>In alphabetical order.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. Farewells.Keys.Order(StringComparer.Ordinal)];

    public static bool TryGet(string name, out GoodbyeBytes farewell)
    {
        var found = Farewells.TryGetValue(name, out var bytes);
        farewell = new GoodbyeBytes(bytes);
        return found;
    }
}
