using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Xunit;

namespace PooledTcp.IntegrationTests.Servers;

/// <summary>
/// A real redis-server as a child process, without persistence. A shell holds it: it kills the server when its own
/// standard input ends, which the kernel sees to even if this process is killed.
/// </summary>
public sealed class RedisProcess : RespServer
{
    private const string Hold = "\"$@\" & server=$!; cat > /dev/null; kill -9 $server; wait $server 2> /dev/null";

    private static readonly string? Executable = Environment.GetEnvironmentVariable("PATH")?
        .Split(Path.PathSeparator)
        .Select(static folder => Path.Combine(folder, "redis-server"))
        .FirstOrDefault(File.Exists);

    private Process? _shell;

    public static void SkipIfMissing()
    {
        if (Executable is null)
        {
            Assert.Skip("redis-server is not installed");
        }
    }

    public override async Task StartAsync()
    {
        if (Executable is null)
        {
            return;
        }

        var start = new ProcessStartInfo("/bin/sh")
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = Path.GetTempPath(),
            ArgumentList =
            {
                "-c", Hold, "sh", Executable, "--bind", "127.0.0.1", "--port", $"{Port}",
                "--save", "", "--appendonly", "no", "--logfile", "/dev/null",
            },
        };
        _shell = Process.Start(start)!;
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        while (!await AcceptsAsync(limit.Token))
        {
            Assert.False(_shell.HasExited, "redis-server did not start.");
            await Task.Delay(10, limit.Token);
        }
    }

    public override async Task StopAsync()
    {
        if (Interlocked.Exchange(ref _shell, null) is { } shell)
        {
            shell.StandardInput.Close();
            await shell.WaitForExitAsync();
            shell.Dispose();
        }
    }

    private async Task<bool> AcceptsAsync(CancellationToken cancellationToken)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            await socket.ConnectAsync(new IPEndPoint(IPAddress.Loopback, Port), cancellationToken);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
