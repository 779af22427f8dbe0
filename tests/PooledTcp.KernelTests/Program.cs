using PooledTcp.KernelTests.Harness;
using PooledTcp.KernelTests.Outage;
using Xunit.MicrosoftTestingPlatform;
using Xunit.Runner.InProc.SystemConsole;
using Xunit.v3;

// Two wait for a TIME_WAIT's minute and take next to no CPU. Three, and not one for each core: about 120 s on two, where two take 172.
[assembly: Parallelization(MaxThreads = 3)]

namespace PooledTcp.KernelTests;

/// <summary>The test program; or, started by one of its own tests, the child that plays a scenario in a fresh namespace.</summary>
internal static class Program
{
    public const string TenMinutes = "--ten-idle-minutes";

    public static async Task<int> Main(string[] args)
    {
        if (args is [TenMinutes])
        {
            await IdleProcessTests.StayIdleForTenMinutesAsync();
            return 0;
        }

        if (args is [ScenarioChild.Verb, ..])
        {
            return await ScenarioChild.PlayAsync(args[1..]);
        }

        return args.Any(arg => arg is "--server" or "--internal-msbuild-node")
            ? await TestPlatformTestFramework.RunAsync(args, SelfRegisteredExtensions.AddSelfRegisteredExtensions)
            : await ConsoleRunner.Run(args);
    }
}
