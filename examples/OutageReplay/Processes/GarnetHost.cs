using System.Net;
using Garnet;
using Garnet.server;

namespace OutageReplay.Processes;

/// <summary>The server's side of <see cref="GarnetProcess"/>: a Microsoft Garnet, small and in memory only, until the lifeline is cut.</summary>
internal static class GarnetHost
{
    public const string ReadyLine = "ready";

    public static async Task<int> RunAsync(string[] endpoints)
    {
        using Lifeline lifeline = Lifeline.Hold();
        var options = new GarnetServerOptions
        {
            EndPoints = [.. endpoints.Select(IPEndPoint.Parse)],
            QuietMode = true,
            DisablePubSub = true,
            LogMemorySize = "16m",
            PageSize = "1m",
            SegmentSize = "1m",
            IndexMemorySize = "1m",
        };

        using var server = new GarnetServer(options);
        server.Start();
        await Console.Out.WriteLineAsync(ReadyLine);

        await Task.Delay(Timeout.InfiniteTimeSpan, lifeline.Cut).ContinueWith(static _ => { }, TaskScheduler.Default);
        return ExitCodes.Proved;
    }
}
