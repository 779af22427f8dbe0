using System.Net;
using System.Net.Sockets;
using System.Text;

namespace ClosePair;

/// <summary>
/// The same client under every policy: it takes the report, gives the server a moment to close, and closes. One in four
/// has more to say than it will be asked for, and reads late.
/// </summary>
internal static class PairClient
{
    public const int Connections = 200;

    private const int AtATime = 50;
    private const int TooMuch = 48_000;

    private static readonly TimeSpan Late = TimeSpan.FromMilliseconds(200);

    // Long enough for a busy machine: a server that means to close first is first.
    private static readonly TimeSpan Moment = TimeSpan.FromSeconds(2);

    public static async Task RunAsync(IPEndPoint server)
    {
        int complete = 0;
        await Parallel.ForAsync(0, Connections, new ParallelOptions { MaxDegreeOfParallelism = AtATime }, async (i, _) =>
        {
            if (await FetchAsync(server, talkative: i % 4 == 0) == PairServer.ReportLength)
            {
                Interlocked.Increment(ref complete);
            }
        });
        Console.WriteLine(complete);
    }

    /// <summary>How much of the report arrived.</summary>
    private static async Task<int> FetchAsync(IPEndPoint server, bool talkative)
    {
        using var socket = new Socket(server.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(server);
        int received = 0;
        try
        {
            await socket.SendAsync(Encoding.ASCII.GetBytes("REPORT\n" + (talkative ? new string('x', TooMuch) : "")));
            if (talkative)
            {
                await Task.Delay(Late);
            }

            var buffer = new byte[65_536];
            while (received < PairServer.ReportLength && await socket.ReceiveAsync(buffer) is var count and > 0)
            {
                received += count;
            }

            using var moment = new CancellationTokenSource(Moment);
            await socket.ReceiveAsync(buffer, moment.Token);
        }
        catch (OperationCanceledException)
        {
            // The server leaves the close to us. A receive that was cancelled and awaited does not make it a reset.
        }
        catch (SocketException)
        {
            // A reset. What arrived before it counts, and the rest is lost.
        }

        return received;
    }
}
