using System.Diagnostics;

namespace PooledTcp.KernelTests.RealServers;

/// <summary>
/// A running server. A shell holds it: it kills the server when its own standard input ends, which the kernel sees to
/// however this process dies.
/// </summary>
/// <remarks>
/// In the namespace of a scenario we seem to be root, and servers refuse to be root (PostgreSQL, memcached) or try to become
/// somebody else (nginx, dovecot), whom the namespace does not know. So each one runs in one more user namespace, in which
/// the same user is called nobody: who runs the test has no other identity to give, be they root or not, and the network
/// stays the scenario's. And in a process namespace, so that to kill one process, by its id, is to kill all that it forked.
/// </remarks>
internal sealed class ServerProcess : IAsyncDisposable
{
    private const string Hold = "\"$@\" & server=$!; cat > /dev/null; kill -9 $server; wait $server 2> /dev/null";

    // What every Debian calls nobody and nogroup; initdb and dovecot want a user that has a name.
    private static readonly string[] AsNobody =
        ["unshare", "--user", "--map-user=65534", "--map-group=65534", "--pid", "--fork", "--kill-child", "--"];

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly string _folder;
    private readonly Process _shell;
    private readonly Task<string> _output;
    private readonly Task<string> _errors;

    public ServerProcess(string folder, string[] command)
    {
        _folder = folder;
        _shell = Start(folder, ["sh", "-c", Hold, "sh", .. AsNobody, .. command]);
        _output = _shell.StandardOutput.ReadToEndAsync();
        _errors = _shell.StandardError.ReadToEndAsync();
    }

    /// <summary>Runs a command that ends, as the same user as the server. Returns what it said.</summary>
    public static async Task<string> RunAsync(string folder, params string[] command)
    {
        using Process process = Start(folder, [.. AsNobody, .. command]);
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> errors = process.StandardError.ReadToEndAsync();
        process.StandardInput.Close();
        await process.WaitForExitAsync();
        return process.ExitCode == 0
            ? await output
            : throw new InvalidOperationException($"{command[0]} ended with {process.ExitCode}: {await output}{await errors}");
    }

    /// <summary>
    /// Until one whole exchange succeeds: PostgreSQL listens before it lets anybody in. From ports that no measurement uses.
    /// </summary>
    public async Task WaitUntilItAnswersAsync(RealServer server, string address)
    {
        long start = Stopwatch.GetTimestamp();
        while (true)
        {
            try
            {
                await using var client = new PooledTcpClient(new PooledTcpOptions().AddEndpoint("server", endpoint =>
                {
                    endpoint.Address = address;
                    endpoint.Handshake = server;
                    endpoint.Ports.Range = "33000-33999";
                }));
                await using TcpLease lease = await client.RentAsync("server");
                await server.ExchangeAsync(lease.Stream, CancellationToken.None);
                return;
            }
            catch (IOException) when (!_shell.HasExited && !_output.IsCompleted && Stopwatch.GetElapsedTime(start) < Patience)
            {
                await Task.Delay(20);
            }
            catch (IOException e)
            {
                await DisposeAsync();
                throw new InvalidOperationException($"{server.Name} does not answer: {await _output}{await _errors}", e);
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (!_shell.HasExited)
        {
            _shell.StandardInput.Close();
            await _shell.WaitForExitAsync();
        }

        // Their end says that nobody is left who could write into the folder.
        await Task.WhenAll(_output, _errors);
        if (Directory.Exists(_folder))
        {
            Directory.Delete(_folder, recursive: true);
        }
    }

    private static Process Start(string folder, string[] command) => Process.Start(new ProcessStartInfo(command[0], command[1..])
    {
        WorkingDirectory = folder,
        RedirectStandardInput = true,
        RedirectStandardOutput = true,
        RedirectStandardError = true,
    })!;
}
