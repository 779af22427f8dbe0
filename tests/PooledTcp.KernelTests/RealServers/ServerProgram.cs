namespace PooledTcp.KernelTests.RealServers;

/// <summary>A server that is a program of a Debian package.</summary>
public abstract class ServerProgram : RealServer
{
    // A user's PATH lacks the folders of system programs, and PostgreSQL's is in no PATH at all.
    private static readonly string[] Folders =
    [
        .. (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator),
        "/usr/sbin",
        .. Directory.Exists("/usr/lib/postgresql") ? Directory.GetDirectories("/usr/lib/postgresql").Select(static version => $"{version}/bin") : [],
    ];

    /// <summary>Names of programs, or paths of files, that the package brings.</summary>
    protected abstract string[] Needs { get; }

    public override string? FindObstacle()
    {
        if (!OperatingSystem.IsLinux())
        {
            return "this is not Linux";
        }

        return Needs.Any(static need => Find(need) is null) ? $"the Debian package {Name} is not installed" : null;
    }

    public override async Task<IAsyncDisposable> StartAsync(string address, int port, TimeSpan? idleTimeout)
    {
        string folder = Directory.CreateTempSubdirectory("pooledtcp-").FullName;
        string[] command = await PrepareAsync(folder, address, port, idleTimeout is { } idle ? (int)idle.TotalSeconds : null);
        var process = new ServerProcess(folder, command);
        try
        {
            await process.WaitUntilItAnswersAsync(this, $"{address}:{port}");
            return process;
        }
        catch
        {
            await process.DisposeAsync();
            throw;
        }
    }

    /// <summary>Furnishes the folder, in which the server may do as it likes, and says how to start it in the foreground.</summary>
    protected abstract Task<string[]> PrepareAsync(string folder, string address, int port, int? idleSeconds);

    protected static string? Find(string need) => Path.IsPathRooted(need)
        ? File.Exists(need) ? need : null
        : Folders.Select(folder => Path.Combine(folder, need)).FirstOrDefault(File.Exists);
}
