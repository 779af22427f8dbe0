using System.Text;

namespace PooledTcp.Tests.Shutdown;

// docs/closing.md shows the class; ClosingPageTests compares.
internal sealed class SignOff : IGoodbye
{
    // Asked for each connection, right before its close. It must not block, and must not use the connection.
    public ReadOnlyMemory<byte> GetFarewell(object? session) =>
        session is string id ? Encoding.ASCII.GetBytes($"BYE {id}\r\n") : default; // empty: no farewell
}
