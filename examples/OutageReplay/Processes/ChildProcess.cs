using System.Diagnostics;

namespace OutageReplay.Processes;

/// <summary>A child on a <see cref="Lifeline"/>: disposing it ends it and waits until it is gone.</summary>
internal sealed class ChildProcess : IAsyncDisposable
{
    // More than the child's own grace, so that it can end its own children first.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(4);

    private readonly Process _process;
    private readonly Task<string> _errors;

    private ChildProcess(Process process)
    {
        _process = process;
        // Read all along: a child that fills its error pipe would stop.
        _errors = process.StandardError.ReadToEndAsync();
    }

    public StreamReader Output => _process.StandardOutput;

    /// <summary>This program with other arguments, whether it was started by its own name or by <c>dotnet OutageReplay.dll</c>.</summary>
    public static IReadOnlyList<string> SelfCommand(params string[] arguments)
    {
        string self = Environment.ProcessPath!;
        return Path.GetFileNameWithoutExtension(self) == "dotnet"
            ? [self, typeof(Program).Assembly.Location, .. arguments]
            : [self, .. arguments];
    }

    public static ChildProcess Start(IReadOnlyList<string> command)
    {
        var start = new ProcessStartInfo(command[0], command.Skip(1))
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        return new ChildProcess(Process.Start(start)!);
    }

    public async Task<int> WaitForExitAsync(CancellationToken cancellationToken)
    {
        await _process.WaitForExitAsync(cancellationToken);
        return _process.ExitCode;
    }

    /// <summary>Waits for the child's end. The last line it wrote to its standard error, or its exit code.</summary>
    public async Task<string> ReadErrorAsync(CancellationToken cancellationToken)
    {
        int exitCode = await WaitForExitAsync(cancellationToken);
        string[] lines = (await _errors).Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        return lines is [.., string last] ? last : $"exit code {exitCode}";
    }

    public async ValueTask DisposeAsync()
    {
        _process.StandardInput.Close();
        using var patience = new CancellationTokenSource(Patience);
        try
        {
            await _process.WaitForExitAsync(patience.Token);
        }
        catch (OperationCanceledException)
        {
            _process.Kill(entireProcessTree: true);
            await _process.WaitForExitAsync(CancellationToken.None);
        }

        _process.Dispose();
    }
}
