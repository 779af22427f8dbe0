using System.Diagnostics;
using System.Globalization;
using System.Net;
using OutageReplay.Network;

namespace ClosePair;

/// <summary>Plays each policy and prints who was left with the TIME_WAITs.</summary>
internal static class Stage
{
    public const string Namespace = "namespace";

    private static readonly TimeSpan SettleLimit = TimeSpan.FromSeconds(30);

    public static async Task<int> RunAsync(bool inNamespace)
    {
        IPAddress address = IPAddress.Loopback;
        if (inNamespace)
        {
            // Own address: the kernel treats 127.0.0.1 gently (tcp_tw_reuse = 2).
            address = IPAddress.Parse("10.99.0.1");
            LoopbackInterface.BringUp();
            LoopbackInterface.AddAddress(address);
        }

        Console.WriteLine($"{PairClient.Connections} connections per policy, {(inNamespace ? "in a network namespace" : "on 127.0.0.1: no network namespace here")}");
        Console.WriteLine();
        Console.WriteLine("                   reports   reports    TIME_WAIT   TIME_WAIT");
        Console.WriteLine("                   complete  cut short  at clients  at server");
        bool proved = true;
        foreach (Policy policy in Enum.GetValues<Policy>())
        {
            (int complete, KernelView kernel) = await PlayAsync(policy, new IPEndPoint(address, FreePort()));
            int lost = PairClient.Connections - complete;
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{Name(policy),-17}{complete,10}{lost,11}{kernel.ClientTimeWait,12}{kernel.ServerTimeWait,11}"));
            proved &= policy switch
            {
                Policy.ServerFirst => lost == 0 && kernel is { ClientTimeWait: 0, ServerTimeWait: PairClient.Connections },
                Policy.ClientFirst => lost == 0 && kernel is { ClientTimeWait: PairClient.Connections, ServerTimeWait: 0 },
                _ => true,
            };
        }

        return proved ? 0 : 1;
    }

    private static async Task<(int Complete, KernelView Kernel)> PlayAsync(Policy policy, IPEndPoint endPoint)
    {
        using Process server = Child.Start(Child.Self(Program.ServerVerb, policy.ToString(), endPoint.ToString()));
        await server.StandardOutput.ReadLineAsync();
        using Process client = Child.Start(Child.Self(Program.ClientVerb, endPoint.ToString()));
        int complete = int.Parse(await client.StandardOutput.ReadToEndAsync(), CultureInfo.InvariantCulture);
        await client.WaitForExitAsync();

        // Counted once no close is under way any more.
        long start = Stopwatch.GetTimestamp();
        KernelView kernel;
        while ((kernel = KernelView.Read(endPoint.Port)).Live > 0 && Stopwatch.GetElapsedTime(start) < SettleLimit)
        {
            await Task.Delay(20);
        }

        server.StandardInput.Close();
        await server.WaitForExitAsync();
        return (complete, kernel);
    }

    /// <summary>Below the ports that clients are given: a client's TIME_WAIT on the server's port would be counted as the server's.</summary>
    private static int FreePort() => Enumerable.Range(20_000, 10_000).Except(KernelView.PortsInUse()).First();

    private static string Name(Policy policy) => policy switch
    {
        Policy.KestrelAlone => "Kestrel alone",
        Policy.ServerFirst => "server first",
        _ => "client first",
    };
}
