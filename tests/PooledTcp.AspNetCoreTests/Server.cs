using System.Buffers;
using System.Collections.Concurrent;
using System.IO.Pipelines;
using System.Net;
using System.Text;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using PooledTcp.AspNetCore;

namespace PooledTcp.AspNetCoreTests;

/// <summary>A real Kestrel on a port of its own, and what it logged.</summary>
internal sealed partial class Server : IAsyncDisposable
{
    /// <summary>How many clients <see cref="RunClientsAsync"/> runs.</summary>
    public const int Clients = 20;

    private readonly WebApplication _host;

    private Server(WebApplication host, LogBook log) => (_host, Logged) = (host, log);

    public LogBook Logged { get; }

    public IPEndPoint EndPoint { get; private set; } = new(IPAddress.Loopback, 0);

    private static CancellationToken Cancellation => Patience.Token;

    public static Task<Server> StartAsync(
        Func<ConnectionContext, Task> handler,
        Action<ClosePolicyOptions>? policy = null,
        TimeProvider? time = null,
        Action<SocketTransportOptions>? sockets = null,
        Func<ListenOptions, ListenOptions>? layers = null) =>
        StartListeningAsync(
            listen =>
            {
                listen.UseClosePolicy(options =>
                {
                    // How soon a client answers is a matter of the machine.
                    options.DrainTimeout = options.ClientCloseTimeout = TimeSpan.FromMinutes(1);
                    policy?.Invoke(options);
                });
                (layers?.Invoke(listen) ?? listen).Run(handler);
            },
            services =>
            {
                if (time is not null)
                {
                    services.AddSingleton(time);
                }

                services.Configure<SocketTransportOptions>(options => sockets?.Invoke(options));
            });

    public static async Task<Server> StartListeningAsync(Action<ListenOptions> listen, Action<IServiceCollection>? services = null, string? unixPath = null)
    {
        for (var tries = 1; ; tries++)
        {
            try
            {
                return await BindAsync(listen, services, unixPath);
            }
            catch (IOException e) when (e.InnerException is AddressInUseException && tries < 10)
            {
                // Somebody took the port since it was chosen.
            }
        }
    }

    private static async Task<Server> BindAsync(Action<ListenOptions> listen, Action<IServiceCollection>? services, string? unixPath)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        var log = new LogBook();
        builder.Logging.AddProvider(log).SetMinimumLevel(LogLevel.Debug);
        builder.Services.Configure<HostOptions>(options => options.ShutdownTimeout = TimeSpan.FromMinutes(1));
        services?.Invoke(builder.Services);
        ListenOptions? bound = null;
        void Listen(ListenOptions options)
        {
            bound = options;
            listen(options);
        }

        builder.WebHost.UseKestrelCore().ConfigureKestrel(options =>
        {
            if (unixPath is null)
            {
                options.Listen(IPAddress.Loopback, Kernel.FreePort(), Listen);
            }
            else
            {
                options.ListenUnixSocket(unixPath, Listen);
            }
        });
        var server = new Server(builder.Build(), log);
        try
        {
            await server._host.StartAsync(Cancellation);
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }

        server.EndPoint = bound!.IPEndPoint ?? server.EndPoint;
        return server;
    }

    /// <summary>Answers each line with itself; after QUIT says BYE and returns.</summary>
    public static async Task EchoLinesAsync(ConnectionContext connection)
    {
        while (true)
        {
            var read = await connection.Transport.Input.ReadAsync(Cancellation);
            var rest = read.Buffer;
            while (rest.PositionOf((byte)'\n') is { } end)
            {
                var line = Encoding.ASCII.GetString(rest.Slice(0, end));
                rest = rest.Slice(rest.GetPosition(1, end));
                await SayAsync(connection, line == "QUIT" ? "BYE\n" : line + "\n");
                if (line == "QUIT")
                {
                    connection.Transport.Input.AdvanceTo(rest.Start);
                    return;
                }
            }

            connection.Transport.Input.AdvanceTo(rest.Start, rest.End);
            if (read.IsCompleted)
            {
                return;
            }
        }
    }

    public static async ValueTask<FlushResult> SayAsync(ConnectionContext connection, string text) =>
        await connection.Transport.Output.WriteAsync(Encoding.ASCII.GetBytes(text), Cancellation);

    /// <summary>At once, each on a connection of its own.</summary>
    public async Task RunClientsAsync(Func<Client, Task> run) =>
        await Task.WhenAll(Enumerable.Range(0, Clients).Select(async _ =>
        {
            using var client = await Client.ConnectAsync(this);
            await run(client);
        }));

    public async Task WaitForCloseAsync()
    {
        while (!Logged.Closes.Any())
        {
            await Task.Delay(10, Cancellation);
        }
    }

    public Task StopAsync() => _host.StopAsync(Cancellation);

    public async ValueTask DisposeAsync() => await _host.DisposeAsync();

    internal sealed partial class LogBook : ILoggerProvider, ILogger
    {
        private readonly ConcurrentQueue<(string Text, Exception? Exception)> _entries = [];

        /// <summary>
        /// How connections were closed: one line a second, so the first of several that close together. The kernel tells about
        /// each.
        /// </summary>
        public IEnumerable<string> Closes => _entries
            .Select(entry => WithoutCount().Replace(entry.Text, ""))
            .Where(text => text.Contains(" closed: ", StringComparison.Ordinal));

        public IEnumerable<string> Errors => _entries.Select(entry => entry.Exception?.Message).OfType<string>();

        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            _entries.Enqueue((formatter(state, exception), exception));

        public void Dispose()
        {
        }

        [GeneratedRegex(@" \(\d+ more since the last such line\)$")]
        private static partial Regex WithoutCount();
    }
}
