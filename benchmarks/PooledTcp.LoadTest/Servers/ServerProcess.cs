using System.Globalization;
using System.Net;
using System.Net.Sockets;
using OutageReplay.Processes;
using PooledTcp.IntegrationTests.Servers;
using PooledTcp.LoadTest.Contenders;
using PooledTcp.LoadTest.Statistics;

namespace PooledTcp.LoadTest.Servers;

/// <summary>
/// A server in a process of its own, started by running this program again: its CPU time is not ours, nor its descriptors. It
/// listens below port 32768, where no connect of ours is in its way, and ends when we do, however that happens.
/// </summary>
internal sealed class ServerProcess : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly ChildProcess _child;

    private ServerProcess(ChildProcess child, int port, int controlPort, int id)
    {
        _child = child;
        ControlPort = controlPort;
        EndPoint = new IPEndPoint(IPAddress.Loopback, port);
        Id = id;
    }

    public IPEndPoint EndPoint { get; }

    /// <summary>Where the echo server takes orders.</summary>
    public int ControlPort { get; }

    /// <summary>The process that serves.</summary>
    public int Id { get; }

    public static async Task<ServerProcess> StartAsync(ServerKind kind)
    {
        int port = FreePort.Next();
        int control = FreePort.Next();
        ChildProcess child = ChildProcess.Start(ChildProcess.SelfCommand(
            ServerHost.Verb, $"{kind}", port.ToString(CultureInfo.InvariantCulture), control.ToString(CultureInfo.InvariantCulture)));
        using CancellationTokenSource limit = new(Patience);
        string? line = await child.Output.ReadLineAsync(limit.Token);
        if (!int.TryParse(line, CultureInfo.InvariantCulture, out int id))
        {
            string why = await child.ReadErrorAsync(limit.Token);
            await child.DisposeAsync();
            throw new LoadTestException($"The {kind} server did not start: {why}");
        }

        return new ServerProcess(child, port, control, id);
    }

    /// <summary>CPU time so far, in seconds, to a hundredth.</summary>
    public double ReadCpu() => ProcessTime.ReadTicks(Id) / ProcessTime.TicksPerSecond;

    /// <summary>Lets the echo server send a FIN on all its connections, and waits until it has.</summary>
    public static async Task CloseAllAsync(int controlPort)
    {
        using Socket control = await SocketContender.ConnectAsync(new IPEndPoint(IPAddress.Loopback, controlPort));
        await control.SendAsync("c"u8.ToArray());
        await control.ReceiveAsync(new byte[1]);
    }

    public ValueTask DisposeAsync() => _child.DisposeAsync();
}
