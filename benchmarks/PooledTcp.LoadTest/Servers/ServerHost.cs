using System.Globalization;
using OutageReplay;
using OutageReplay.Processes;

namespace PooledTcp.LoadTest.Servers;

/// <summary>The child's side of <see cref="ServerProcess"/>: says which process serves once it does, and serves until its lifeline is cut.</summary>
internal static class ServerHost
{
    public const string Verb = "--serve";

    /// <summary>
    /// The thread that hears from the kernel answers, instead of waking another for it: that hop, and what the thread pool
    /// spins around it, is as much work as the exchange itself, and hides what a client costs behind what the server costs.
    /// With it 64 raw echoes took the server 38 us of CPU each and SocketsHttpHandler was as fast as raw sockets; without it
    /// they take 16, and raw sockets, connect per request (0.24, 0.19, 0.19 of raw at 1, 8 and 32 workers) and
    /// SocketsHttpHandler on Kestrel (0.66, 0.68, 0.56) stand apart as they did when the targets were set (0.27, 0.23, 0.20
    /// and 0.70, 0.64, 0.63). All servers of ours are given it, whoever asks them; the client never is. The socket layer reads
    /// it once, before the first operation.
    /// </summary>
    private const string InlineCompletions = "DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS";

    /// <param name="arguments">Kind, port, and the port where the echo server takes orders.</param>
    public static async Task<int> RunAsync(string[] arguments)
    {
        Environment.SetEnvironmentVariable(InlineCompletions, "1");
        using Lifeline lifeline = Lifeline.Hold();
        int port = int.Parse(arguments[1], CultureInfo.InvariantCulture);
        int control = int.Parse(arguments[2], CultureInfo.InvariantCulture);
        try
        {
            switch (Enum.Parse<ServerKind>(arguments[0]))
            {
                case ServerKind.Echo:
                    await ServeAsync(EchoServer.Start(port, control), lifeline.Cut);
                    break;
                case ServerKind.BareHttp:
                    await ServeAsync(BareHttpServer.Start(port), lifeline.Cut);
                    break;
                case ServerKind.Kestrel:
                    await ServeAsync(await KestrelServer.StartAsync(port), lifeline.Cut);
                    break;
                default:
                    await RedisServer.RunAsync(port, Say, lifeline.Cut);
                    break;
            }

            return ExitCodes.Proved;
        }
        catch (Exception e) when (!lifeline.Cut.IsCancellationRequested)
        {
            await Console.Error.WriteLineAsync(e.Message);
            return ExitCodes.Failed;
        }
    }

    private static async Task ServeAsync(IAsyncDisposable server, CancellationToken cut)
    {
        await using (server)
        {
            Say(Environment.ProcessId);
            await Task.Delay(Timeout.InfiniteTimeSpan, cut).ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
        }
    }

    private static void Say(int id) => Console.WriteLine(id.ToString(CultureInfo.InvariantCulture));
}
