using System.Net;

namespace ClosePair;

/// <summary>
/// One program, four parts. What you start runs the stage, in a network namespace where the machine allows one; the stage
/// starts a server and a client for each policy, in processes of their own, and asks the kernel what they left behind.
/// </summary>
internal static class Program
{
    public const string StageVerb = "stage";
    public const string ServerVerb = "server";
    public const string ClientVerb = "client";

    private static async Task<int> Main(string[] args)
    {
        switch (args)
        {
            case []:
                return await Child.RunStageAsync();
            case [StageVerb, string kind]:
                return await Stage.RunAsync(inNamespace: kind == Stage.Namespace);
            case [ServerVerb, string policy, string endPoint]:
                await PairServer.RunAsync(Enum.Parse<Policy>(policy), IPEndPoint.Parse(endPoint));
                return 0;
            case [ClientVerb, string endPoint]:
                await PairClient.RunAsync(IPEndPoint.Parse(endPoint));
                return 0;
            default:
                await Console.Error.WriteLineAsync("ClosePair takes no arguments.");
                return 2;
        }
    }
}
