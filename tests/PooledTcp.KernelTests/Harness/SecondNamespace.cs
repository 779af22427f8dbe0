using System.Diagnostics;

namespace PooledTcp.KernelTests.Harness;

/// <summary>
/// A second namespace beside a scenario's own, and a veth pair between them: two hosts and a cable. Each kernel half keeps its
/// own TIME_WAITs, and nothing is told apart by port or goes over lo.
/// </summary>
internal sealed class SecondNamespace : IDisposable
{
    /// <summary>The other end's address.</summary>
    public const string Far = "10.98.0.2";

    /// <summary>What a program that serves there says when it listens.</summary>
    public const string Ready = "ready";

    private const string Near = "10.98.0.1";

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly Process _program;

    private SecondNamespace(Process program) => _program = program;

    private string[] Enter => ["nsenter", "--target", $"{_program.Id}", "--net", "--"];

    /// <summary>Why there can be none here, in words.</summary>
    public static async Task<string?> FindObstacleAsync()
    {
        if (!File.Exists("/usr/sbin/ip") && !File.Exists("/sbin/ip"))
        {
            return "the command ip, of iproute2, is not installed";
        }

        string? errors = await TryAsync("ip", "link", "add", "name", "near", "type", "veth", "peer", "name", "far");
        return errors is null ? null : $"no veth: {errors}";
    }

    /// <summary>Plays <paramref name="program"/> over there, and waits until it says <see cref="Ready"/>. <see cref="FindObstacleAsync"/> comes first.</summary>
    public static async Task<SecondNamespace> StartAsync(Delegate program)
    {
        var second = new SecondNamespace(NetworkNamespace.StartBeside(program, "unshare", "--net", "--"));
        try
        {
            // Only when it speaks has it left our namespace for sure.
            string? said = await second._program.StandardOutput.ReadLineAsync().WaitAsync(Patience);
            if (said != Ready)
            {
                throw new InvalidOperationException($"It said '{said}': {await second._program.StandardError.ReadToEndAsync()}");
            }

            await DoAsync("ip", "link", "set", "far", "netns", $"{second._program.Id}");
            await DoAsync([.. second.Enter, "ip", "address", "add", $"{Far}/24", "dev", "far"]);
            await DoAsync([.. second.Enter, "ip", "link", "set", "far", "up"]);
            await DoAsync("ip", "address", "add", $"{Near}/24", "dev", "near");
            await DoAsync("ip", "link", "set", "near", "up");
            return second;
        }
        catch
        {
            second.Dispose();
            throw;
        }
    }

    public Task<TResult> AskAsync<TResult>(Func<Task<TResult>> scenario) => NetworkNamespace.AskBesideAsync(scenario, Enter);

    public void Dispose()
    {
        _program.Kill();
        _program.Dispose();
    }

    private static async Task DoAsync(params string[] command)
    {
        if (await TryAsync(command) is { } errors)
        {
            throw new InvalidOperationException($"{string.Join(' ', command)}: {errors}");
        }
    }

    private static async Task<string?> TryAsync(params string[] command)
    {
        using Process process = Process.Start(new ProcessStartInfo(command[0], command[1..]) { RedirectStandardError = true })!;
        string errors = await process.StandardError.ReadToEndAsync().WaitAsync(Patience);
        await process.WaitForExitAsync().WaitAsync(Patience);
        return process.ExitCode == 0 ? null : errors;
    }
}
