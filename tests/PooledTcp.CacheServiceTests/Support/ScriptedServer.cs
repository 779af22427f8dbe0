using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace PooledTcp.CacheServiceTests.Support;

/// <summary>Answers each command with the next line of its script, whatever was asked.</summary>
internal sealed class ScriptedServer : IDisposable
{
    /// <summary>In a script: close the connection instead.</summary>
    public const string Close = "close";

    /// <summary>In a script: say nothing, for ever.</summary>
    public const string Silence = "silence";

    /// <summary>Within an entry of a script: what follows answers the next command on the same connection.</summary>
    public const string Then = "|then|";

    private readonly TcpListener _listener;
    private readonly ConcurrentQueue<string> _script;
    private readonly CancellationTokenSource _end = new();
    private int _connections;
    private int _commands;

    /// <param name="script">Replies in Latin 1; when they have run out, every command is answered by OK.</param>
    public ScriptedServer(params string[] script)
        : this(FreePort.Next(), "+OK\r\n", script)
    {
    }

    private ScriptedServer(int port, string reply, string[] script)
    {
        _listener = new TcpListener(IPAddress.Loopback, port);
        Reply = reply;
        _script = new ConcurrentQueue<string>(script);
        _listener.Start();
        _ = AcceptAsync();
    }

    /// <summary>One that accepts and never answers.</summary>
    public static ScriptedServer Silent(int port) => new(port, Silence, []);

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>When the script has run out.</summary>
    public string Reply { get; set; }

    public int Connections => _connections;

    public int Commands => _commands;

    public void Dispose()
    {
        _end.Cancel();
        _listener.Dispose();
    }

    private async Task AcceptAsync()
    {
        while (!_end.IsCancellationRequested)
        {
            Socket client = await _listener.AcceptSocketAsync(_end.Token);
            Interlocked.Increment(ref _connections);
            _ = ServeAsync(client);
        }
    }

    private async Task ServeAsync(Socket client)
    {
        using (client)
        {
            byte[] buffer = new byte[65536];
            var owed = new Queue<string>();

            // The commands here are small and come in one segment.
            while (await client.ReceiveAsync(buffer, _end.Token) > 0)
            {
                Interlocked.Increment(ref _commands);
                if (!owed.TryDequeue(out string? reply))
                {
                    string[] replies = (_script.TryDequeue(out string? next) ? next : Reply).Split(Then);
                    reply = replies[0];
                    Array.ForEach(replies[1..], owed.Enqueue);
                }

                if (reply == Close)
                {
                    return;
                }

                if (reply != Silence)
                {
                    await client.SendAsync(Encoding.Latin1.GetBytes(reply), _end.Token);
                }
            }
        }
    }
}
