using System.Globalization;
using OutageReplay;
using OutageReplay.Processes;

namespace PooledTcp.LoadTest.Servers;

/// <summary>The child's side of <see cref="ServerProcess"/>: says which process serves once it does, and serves until its lifeline is cut.</summary>
internal static class ServerHost
{
    public const string Verb = "--serve";

    /// <param name="arguments">Kind, port, and the port where the echo server takes orders.</param>
    public static async Task<int> RunAsync(string[] arguments)
    {
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
