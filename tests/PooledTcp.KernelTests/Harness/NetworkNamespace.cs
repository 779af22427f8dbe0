using System.ComponentModel;
using System.Diagnostics;
using System.Text.Json;
using Xunit;

namespace PooledTcp.KernelTests.Harness;

/// <summary>
/// Plays a scenario, a static method without parameters, in a child process inside a fresh network namespace made by
/// <c>unshare -Urn</c>: no privilege needed, nothing to clean up, and the sysctls are its own. A process and not a
/// thread, because /proc/net shows the main thread's namespace (tcp-facts section 6).
/// </summary>
internal static class NetworkNamespace
{
    // Of a scenario that hangs. The longest takes 70 s here; test.sh's own limit for a silence is longer still.
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(4);

    private static readonly string[] Fresh = ["unshare", "-Urn", "--"];

    // Found out once, by trying: no file tells for sure.
    private static readonly Lazy<Task<string?>> Obstacle = new(FindObstacleAsync);

    /// <summary>What the scenario returned. Skips the test where namespaces are not to be had.</summary>
    public static async Task<TResult> RunAsync<TResult>(Func<Task<TResult>> scenario, NamespaceSettings settings, TimeSpan? limit = null)
    {
        string? obstacle = await Obstacle.Value;
        Assert.SkipWhen(obstacle is not null, $"No network namespace: {obstacle}");
        (int exitCode, string output, string errors) = await PlayAsync(
            [.. Fresh, .. CommandFor(scenario, settings)], limit ?? Limit, TestContext.Current.CancellationToken);
        Assert.True(exitCode == 0, $"{scenario.Method.Name} ended with {exitCode}: {errors}");
        return JsonSerializer.Deserialize<TResult>(output, ScenarioChild.Json)!;
    }

    /// <summary>
    /// For a scenario that needs another process: plays a second one beside it, in the same namespace. It ends when it is killed, or
    /// its input is closed.
    /// </summary>
    /// <param name="scenario">What it plays.</param>
    /// <param name="enter">The command that leads into another namespace, if it is to be there.</param>
    public static Process StartBeside(Delegate scenario, params string[] enter) => Start([.. enter, .. CommandFor(scenario, NamespaceSettings.Bare)]);

    /// <summary>For a scenario that needs to know something of another namespace: what one that is played there returned.</summary>
    public static async Task<TResult> AskBesideAsync<TResult>(Func<Task<TResult>> scenario, params string[] enter)
    {
        (int exitCode, string output, string errors) = await PlayAsync(
            [.. enter, .. CommandFor(scenario, NamespaceSettings.Bare)], Limit, CancellationToken.None);
        return exitCode == 0
            ? JsonSerializer.Deserialize<TResult>(output, ScenarioChild.Json)!
            : throw new InvalidOperationException($"{scenario.Method.Name} ended with {exitCode}: {errors}");
    }

    private static async Task<string?> FindObstacleAsync()
    {
        if (!OperatingSystem.IsLinux())
        {
            return "this is not Linux";
        }

        try
        {
            (int exitCode, _, string errors) = await PlayAsync(
                [.. Fresh, .. CommandFor(ScenarioChild.Nothing, NamespaceSettings.SmallRange)], Limit, CancellationToken.None);
            return exitCode == 0 ? null : errors;
        }
        catch (Win32Exception)
        {
            return "the command unshare, of util-linux, cannot be started";
        }
    }

    private static async Task<(int ExitCode, string Output, string Errors)> PlayAsync(
        string[] command, TimeSpan longest, CancellationToken cancellationToken)
    {
        using Process child = Start(command);
        Task<string> output = child.StandardOutput.ReadToEndAsync(CancellationToken.None);
        Task<string> errors = child.StandardError.ReadToEndAsync(CancellationToken.None);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(longest);
        try
        {
            await child.WaitForExitAsync(limit.Token);
        }
        catch (OperationCanceledException)
        {
            child.Kill(entireProcessTree: true);
            throw;
        }

        return (child.ExitCode, await output, await errors);
    }

    private static string[] CommandFor(Delegate scenario, NamespaceSettings settings)
    {
        Debug.Assert(scenario.Method.IsStatic, "A lambda is compiled to an instance method, which the child could not call.");
        return [.. SelfCommand(), ScenarioChild.Verb, scenario.Method.DeclaringType!.FullName!, scenario.Method.Name, JsonSerializer.Serialize(settings)];
    }

    private static Process Start(string[] command) => Process.Start(new ProcessStartInfo(command[0], command[1..])
    {
        RedirectStandardInput = true,
        RedirectStandardOutput = true,
        RedirectStandardError = true,
    })!;

    /// <summary>This program, whether it was started by its own name or by <c>dotnet X.dll</c>.</summary>
    private static string[] SelfCommand()
    {
        string self = Environment.ProcessPath!;
        return Path.GetFileNameWithoutExtension(self) == "dotnet" ? [self, typeof(Program).Assembly.Location] : [self];
    }
}
