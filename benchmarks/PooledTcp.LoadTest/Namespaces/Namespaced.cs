using System.ComponentModel;
using System.Text.Json;
using OutageReplay.Processes;
using PooledTcp.KernelTests.Harness;

namespace PooledTcp.LoadTest.Namespaces;

/// <summary>
/// Plays a static method in a process of its own inside a fresh network namespace: the kernel's full range of ports, and
/// TIME_WAITs that hold theirs for the whole minute, as towards another host.
/// </summary>
internal static class Namespaced
{
    /// <summary>28,232 ports.</summary>
    public static NamespaceSettings FullRange { get; } = NamespaceSettings.FullRange.With("tcp_tw_reuse", "0");

    public static async Task<TResult> PlayAsync<TResult>(Func<Task<TResult>> scenario, CancellationToken cancellationToken, NamespaceSettings? settings = null)
    {
        string[] command =
        [
            "unshare", "-Urn", "--",
            .. ChildProcess.SelfCommand(ScenarioChild.Verb, scenario.Method.DeclaringType!.FullName!, scenario.Method.Name, JsonSerializer.Serialize(settings ?? FullRange)),
        ];
        try
        {
            await using ChildProcess child = ChildProcess.Start(command);
            string output = await child.Output.ReadToEndAsync(cancellationToken);
            return await child.WaitForExitAsync(cancellationToken) == 0
                ? JsonSerializer.Deserialize<TResult>(output, ScenarioChild.Json)!
                : throw new LoadTestException($"{scenario.Method.Name} failed in its network namespace: {await child.ReadErrorAsync(cancellationToken)}");
        }
        catch (Win32Exception e)
        {
            throw new LoadTestException("No network namespace: the command unshare, of util-linux, cannot be started.", e);
        }
    }
}
