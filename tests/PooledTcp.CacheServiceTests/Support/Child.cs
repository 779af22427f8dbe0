using System.Diagnostics;
using System.Text;

namespace PooledTcp.CacheServiceTests.Support;

/// <summary>
/// A program that a test runs; ended with it. Between them is a shell, whose standard input is the child's lifeline: a line on it
/// asks the child to end, and its end ends it, which the kernel brings about however this process dies, kill -9 included.
/// </summary>
internal sealed class Child : IDisposable
{
    // The watcher must not hold the pipes that the child writes to: they end with the child.
    private const string Shell = """
        exec 3<&0
        "$@" </dev/null 3<&- &
        child=$!
        { while read -r _ <&3; do kill -TERM "$child"; done; kill -KILL "$child"; } >/dev/null 2>&1 &
        watcher=$!
        wait "$child"
        code=$?
        kill "$watcher"
        exit "$code"
        """;

    private readonly Process _process;
    private readonly StringBuilder _output = new();
    private readonly StringBuilder _error = new();

    private Child(string program, IEnumerable<string> arguments, IReadOnlyDictionary<string, string> environment)
    {
        var start = new ProcessStartInfo("/bin/sh", ["-c", Shell, "child", program, .. arguments])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach ((string name, string value) in environment)
        {
            start.Environment[name] = value;
        }

        _process = new Process { StartInfo = start };
        _process.OutputDataReceived += (_, line) => Append(_output, line.Data);
        _process.ErrorDataReceived += (_, line) => Append(_error, line.Data);
        _process.Start();
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    public string Output => Read(_output);

    public string Error => Read(_error);

    public bool HasExited => _process.HasExited;

    /// <summary>The service as a program.</summary>
    public static Child Start(params string[] arguments) => Start(new Dictionary<string, string>(StringComparer.Ordinal), arguments);

    public static Child Start(IReadOnlyDictionary<string, string> environment, params string[] arguments) =>
        new("dotnet", [Path.Combine(AppContext.BaseDirectory, "CacheService.dll"), .. arguments], environment);

    public static Child StartProgram(string program, params string[] arguments) =>
        new(program, arguments, new Dictionary<string, string>(StringComparer.Ordinal));

    /// <summary>Its exit code, when it has ended by itself and all it wrote was read.</summary>
    public async Task<int> WaitForExitAsync()
    {
        await _process.WaitForExitAsync(Patience.Token);
        return _process.ExitCode;
    }

    /// <summary>Asks it to end, as a service manager does, and waits for that.</summary>
    public async Task<int> StopAsync()
    {
        await _process.StandardInput.WriteLineAsync("end");
        await _process.StandardInput.FlushAsync(Patience.Token);
        return await WaitForExitAsync();
    }

    public void Dispose()
    {
        _process.StandardInput.Close();
        _process.WaitForExit();
        _process.Dispose();
    }

    private static void Append(StringBuilder text, string? line)
    {
        if (line is not null)
        {
            lock (text)
            {
                text.Append(line).Append('\n');
            }
        }
    }

    private static string Read(StringBuilder text)
    {
        lock (text)
        {
            return text.ToString();
        }
    }
}
