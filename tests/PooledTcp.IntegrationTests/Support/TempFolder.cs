namespace PooledTcp.IntegrationTests.Support;

/// <summary>A folder that goes away with the test.</summary>
internal sealed class TempFolder : IDisposable
{
    // A short name: a unix socket's path ends at 107 bytes.
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("ptcp-");

    public string File(string name) => Path.Combine(_folder.FullName, name);

    public void Dispose() => _folder.Delete(recursive: true);
}
