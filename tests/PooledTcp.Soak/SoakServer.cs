using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using PooledTcp.IntegrationTests.Servers;

namespace PooledTcp.Soak;

/// <summary>
/// A RESP server in a process of its own, with a plain port and one with TLS: redis-server, or Garnet where there is none. A
/// shell holds it: it kills the server when its own standard input ends, which the kernel sees to even if we are killed.
/// </summary>
internal sealed class SoakServer : IAsyncDisposable
{
    private const string Hold = "\"$@\" & server=$!; cat > /dev/null; kill -9 $server; wait $server 2> /dev/null";

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("ptcp-soak-");
    private readonly string[] _command;
    private Process? _shell;

    public SoakServer(bool garnet)
    {
        string certificate = Path.Combine(_folder.FullName, "server.crt");
        string key = Path.Combine(_folder.FullName, "server.key");
        File.WriteAllText(certificate, TestCertificates.Server.ExportCertificatePem());
        using (ECDsa privateKey = System.Security.Cryptography.X509Certificates.ECDsaCertificateExtensions.GetECDsaPrivateKey(TestCertificates.Server)!)
        {
            File.WriteAllText(key, privateKey.ExportPkcs8PrivateKeyPem());
        }

        string? redis = garnet ? null : FindRedis();
        Name = redis is null ? "Garnet" : "redis-server";
        _command = redis is null
            ? [.. SelfCommand(), Program.GarnetVerb, $"{Plain.Port}", $"{Tls.Port}", certificate, key]
            : [
                redis, "--bind", "127.0.0.1", "--port", $"{Plain.Port}", "--tls-port", $"{Tls.Port}",
                "--tls-cert-file", certificate, "--tls-key-file", key, "--tls-ca-cert-file", certificate, "--tls-auth-clients", "no",
                "--save", "", "--appendonly", "no", "--logfile", "/dev/null",
            ];
    }

    public string Name { get; }

    public IPEndPoint Plain { get; } = new(IPAddress.Loopback, FreePort.Next());

    public IPEndPoint Tls { get; } = new(IPAddress.Loopback, FreePort.Next());

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        _shell = Process.Start(new ProcessStartInfo("/bin/sh", ["-c", Hold, "sh", .. _command])
        {
            RedirectStandardInput = true,
            WorkingDirectory = _folder.FullName,
        })!;
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(Patience);
        foreach (IPEndPoint endPoint in (IPEndPoint[])[Plain, Tls])
        {
            while (!await AcceptsAsync(endPoint, limit.Token))
            {
                await Task.Delay(10, limit.Token);
            }
        }
    }

    /// <summary>kill -9.</summary>
    public async Task KillAsync()
    {
        if (Interlocked.Exchange(ref _shell, null) is { } shell)
        {
            shell.StandardInput.Close();
            await shell.WaitForExitAsync(CancellationToken.None);
            shell.Dispose();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await KillAsync();
        _folder.Delete(recursive: true);
    }

    private static string? FindRedis() => Environment.GetEnvironmentVariable("PATH")?
        .Split(Path.PathSeparator)
        .Select(static folder => Path.Combine(folder, "redis-server"))
        .FirstOrDefault(File.Exists);

    /// <summary>This program, whether it was started by its own name or by <c>dotnet X.dll</c>.</summary>
    private static string[] SelfCommand()
    {
        string self = Environment.ProcessPath!;
        return Path.GetFileNameWithoutExtension(self) == "dotnet" ? [self, typeof(Program).Assembly.Location] : [self];
    }

    private static async Task<bool> AcceptsAsync(IPEndPoint endPoint, CancellationToken cancellationToken)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            await socket.ConnectAsync(endPoint, cancellationToken);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
