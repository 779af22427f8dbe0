using System.Diagnostics;
using System.Text;

namespace PooledTcp.IntegrationTests;

/// <summary>One run of the OutageReplay example, and whatever processes it started.</summary>
internal sealed class ReplayRun : IAsyncDisposable
{
    private const string MarkName = "OUTAGE_REPLAY_TEST";

    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(1);

    // Every descendant inherits it, so none is missed by having been given another parent.
    private readonly string _mark = $"{MarkName}={Guid.NewGuid():N}";
    private readonly Process _process;
    private readonly Task<string> _output;
    private readonly Task<string> _error;

    private ReplayRun(string[] arguments)
    {
        // A background job of a shell ignores SIGINT and so would its children: env undoes that.
        var start = new ProcessStartInfo("env", ["--default-signal=INT", _mark, "dotnet", ProgramPath(), .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        _process = Process.Start(start)!;
        _output = _process.StandardOutput.ReadToEndAsync();
        _error = _process.StandardError.ReadToEndAsync();
    }

    /// <summary>All it wrote; only after its end.</summary>
    public string Output { get; private set; } = "";

    /// <summary>All it complained of; only after its end.</summary>
    public string Error { get; private set; } = "";

    public static ReplayRun Start(params string[] arguments) => new(arguments);

    public async Task<int> WaitForExitAsync(CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(Limit);
        await _process.WaitForExitAsync(limit.Token);
        Output = await _output.WaitAsync(limit.Token);
        Error = await _error.WaitAsync(limit.Token);
        return _process.ExitCode;
    }

    public async Task SignalAsync(string signal, CancellationToken cancellationToken)
    {
        using Process kill = Process.Start("sh", ["-c", $"kill -{signal} {_process.Id}"]);
        await kill.WaitForExitAsync(cancellationToken);
    }

    /// <summary>Command lines of the run and its descendants that are alive now.</summary>
    public IReadOnlyList<string> LiveProcesses() =>
        [.. Directory.EnumerateDirectories("/proc").Where(BearsMark).Select(directory => ReadProc(directory, "cmdline").Replace('\0', ' '))];

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill(entireProcessTree: true);
            await _process.WaitForExitAsync(CancellationToken.None);
        }

        _process.Dispose();
    }

    private static string ProgramPath()
    {
        // From tests/PooledTcp.IntegrationTests/bin/<configuration>/<framework>.
        var framework = new DirectoryInfo(Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory));
        DirectoryInfo configuration = framework.Parent!;
        return Path.GetFullPath(
            Path.Combine("../../../../examples/OutageReplay/bin", configuration.Name, framework.Name, "OutageReplay.dll"),
            configuration.FullName);
    }

    private bool BearsMark(string processDirectory) =>
        ReadProc(processDirectory, "environ").Split('\0').Contains(_mark);

    // Empty for a process that ended meanwhile, is a zombie or belongs to somebody else.
    private static string ReadProc(string processDirectory, string file)
    {
        try
        {
            return File.ReadAllText(Path.Combine(processDirectory, file), Encoding.UTF8);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }
}
