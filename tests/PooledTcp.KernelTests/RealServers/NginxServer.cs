using System.Globalization;

namespace PooledTcp.KernelTests.RealServers;

/// <summary>HTTP/1.1 with keep-alive. It has no farewell of its own; a last request that says so does what one does.</summary>
public sealed class NginxServer : ServerProgram
{
    public override string Name => "nginx";

    public override string Goodbye => @"raw:HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

    protected override string[] Needs => ["nginx"];

    public override async Task ExchangeAsync(Stream stream, CancellationToken cancellationToken)
    {
        const string LengthField = "Content-Length: ";
        await stream.AskAsync("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200", cancellationToken);
        int length = -1;
        while (await stream.ReadLineAsync(cancellationToken) is { Length: > 0 } line)
        {
            if (line.StartsWith(LengthField, StringComparison.OrdinalIgnoreCase))
            {
                length = int.Parse(line.AsSpan(LengthField.Length), CultureInfo.InvariantCulture);
            }
        }

        await stream.ReadExactlyAsync(length, cancellationToken);
    }

    protected override async Task<string[]> PrepareAsync(string folder, string address, int port, int? idleSeconds)
    {
        string idle = idleSeconds is { } seconds ? $"keepalive_timeout {seconds}s;" : "";
        await File.WriteAllTextAsync(Path.Combine(folder, "nginx.conf"), $$"""
            daemon off;
            pid nginx.pid;
            error_log stderr;
            worker_processes 1;
            events { worker_connections 256; }
            http {
                access_log off;
                {{idle}}
                client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
                server { listen {{address}}:{{port}}; location / { return 200 "hello"; } }
            }
            """);
        return [Find("nginx")!, "-e", "stderr", "-p", folder, "-c", "nginx.conf"];
    }
}
