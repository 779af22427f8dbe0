using System.Globalization;
using System.Net;
using PooledTcp.Ports;

namespace PooledTcp.KernelTests.Ports;

/// <summary>The other, slower view of the kernel's tables, to hold sock_diag against.</summary>
internal static class ProcNetTcp
{
    /// <summary>One line per socket of both files, "local>remote State", sorted.</summary>
    public static List<string> Read() =>
        [.. new[] { "/proc/net/tcp", "/proc/net/tcp6" }.SelectMany(file => File.ReadLines(file).Skip(1)).Select(Describe).Order(StringComparer.Ordinal)];

    public static string Describe(AddressKey local, int localPort, AddressKey remote, int remotePort, TcpStates state) =>
        string.Create(CultureInfo.InvariantCulture, $"{local}:{localPort}>{remote}:{remotePort} {state}");

    // "  sl: local_address rem_address st ...", in hexadecimal.
    private static string Describe(string line)
    {
        string[] fields = line.Split(' ', 5, StringSplitOptions.RemoveEmptyEntries);
        (AddressKey local, int localPort) = ParseEnd(fields[1]);
        (AddressKey remote, int remotePort) = ParseEnd(fields[2]);
        return Describe(local, localPort, remote, remotePort, (TcpStates)(1U << Hex(fields[3])));
    }

    // Addresses are words of 32 bits, each in the byte order of the machine.
    private static (AddressKey Address, int Port) ParseEnd(string text)
    {
        int colon = text.IndexOf(':');
        byte[] bytes = Convert.FromHexString(text[..colon]);
        for (int word = 0; word < bytes.Length; word += 4)
        {
            Array.Reverse(bytes, word, 4);
        }

        return (AddressKey.From(new IPAddress(bytes)), Hex(text[(colon + 1)..]));
    }

    private static int Hex(string text) => int.Parse(text, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
}
