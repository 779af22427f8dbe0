using System.Diagnostics;
using Xunit;

namespace PooledTcp.AspNetCoreTests;

/// <summary>The example as a user runs it: server and clients in processes of their own, in a network namespace.</summary>
public sealed class ClosePairTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(3);

    [Fact]
    public async Task The_pair_shows_who_holds_the_TIME_WAITs()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Reads /proc/net/tcp.");
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(Limit);
        using var pair = Process.Start(new ProcessStartInfo("dotnet", [ProgramPath()]) { RedirectStandardInput = true, RedirectStandardOutput = true })!;
        var output = await pair.StandardOutput.ReadToEndAsync(limit.Token);
        await pair.WaitForExitAsync(limit.Token);

        Assert.SkipUnless(output.Contains("in a network namespace", StringComparison.Ordinal), "unshare -Urn does not work here.");
        Assert.True(pair.ExitCode == 0, output);
        Assert.Equal([200, 0, 0, 200], Row("server first"));
        Assert.Equal([200, 0, 200, 0], Row("client first"));
        // Without the policy, clients with bytes under way lose their report. How many of the 50 is a matter of timing.
        Assert.InRange(Row("Kestrel alone")[1], 1, 50);

        int[] Row(string name) =>
            [.. output.Split('\n').Single(line => line.StartsWith(name, StringComparison.Ordinal))[name.Length..]
                .Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(int.Parse)];
    }

    private static string ProgramPath()
    {
        // From tests/PooledTcp.AspNetCoreTests/bin/<configuration>/<framework>.
        var framework = new DirectoryInfo(Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory));
        return Path.GetFullPath(
            Path.Combine("../../../../examples/ClosePair/bin", framework.Parent!.Name, framework.Name, "ClosePair.dll"), framework.Parent.FullName);
    }
}
