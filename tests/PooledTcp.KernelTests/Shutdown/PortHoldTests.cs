using System.Net.Sockets;
using System.Security.Authentication;
using PooledTcp.KernelTests.Harness;
using PooledTcp.KernelTests.Ports;
using PooledTcp.Ports;
using PooledTcp.Shutdown;
using Xunit;

namespace PooledTcp.KernelTests.Shutdown;

/// <summary>How long a tuple stays taken, waited out: everything side by side, in a good minute.</summary>
public sealed class PortHoldTests
{
    // When what still stands is looked at for the last time: past every minute, before row 12's 107 s.
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(70);

    /// <param name="Name">Of the method or the row.</param>
    /// <param name="State">What held it.</param>
    /// <param name="Seconds">How long; null when it was still held after <see cref="Longest"/>.</param>
    private sealed record Hold(string Name, TcpStates State, double? Seconds);

    [Fact]
    public async Task Every_method_that_leaves_time_wait_and_what_holds_a_port_without_one()
    {
        List<Hold> holds = await NetworkNamespace.RunAsync(
            HoldAllAsync, NamespaceSettings.SmallRange.With("tcp_tw_reuse", "0").With("tcp_fin_timeout", "60"));

        Assert.Collection(
            holds,
            hold => AssertMinute("Passive, at the server", TcpStates.TimeWait, hold),
            hold => AssertMinute("Goodbye, at the server", TcpStates.TimeWait, hold),
            hold => AssertMinute("Graceful, at the client", TcpStates.TimeWait, hold),
            hold => AssertMinute("row 11: the server never closes", TcpStates.FinWait2, hold),
            hold => Assert.Equal(new Hold("row 12: the server vanished", TcpStates.FinWait1, null), hold));
    }

    private static void AssertMinute(string name, TcpStates state, Hold hold)
    {
        Assert.Equal((name, state), (hold.Name, hold.State));

        // From our first look, which on a busy machine is late, as may be the last.
        Assert.True(hold.Seconds is > 50 and < 70, hold.ToString());
    }

    private static async Task<List<Hold>> HoldAllAsync()
    {
        // A listener each: a TIME_WAIT at the server leaves the client's port free, and the next dial to the same
        // listener could draw that port and take the very tuple over that is being watched.
        using var passive = Peer.Start(5001);
        using var goodbye = Peer.Start(5002);
        using var graceful = Peer.Start(5003);
        using var silent = Peer.Start(5004);
        using var vanished = Peer.Start(5005);
        var dials = new PlannedDials(new PortPolicy());
        Task<Hold>[] holds =
        [
            await CloseAsync(passive, Condition.PeerClosed, CloseMethod.Passive, TimeWaitAt.Server),
            await CloseAsync(goodbye, Condition.Clean, CloseMethod.Goodbye, TimeWaitAt.Server),
            await CloseAsync(graceful, Condition.Clean, CloseMethod.Graceful, TimeWaitAt.Client),
            CloseBare(silent, "row 11: the server never closes", static _ => { }, TcpStates.FinWait2),
            CloseBare(vanished, "row 12: the server vanished", CutCable.To, TcpStates.FinWait1),
        ];
        return [.. await Task.WhenAll(holds)];

        async Task<Task<Hold>> CloseAsync(Peer peer, Condition condition, CloseMethod method, TimeWaitAt side)
        {
            MatrixRow row = CloseMatrix.For(tls: false).Single(row => row.Condition == condition && row.Method == method);
            MatrixCell cell = await MatrixCell.PrepareAsync(row, new Wiring(SslProtocols.None), dials, peer);
            await cell.CloseAsync();
            return side == TimeWaitAt.Client
                ? WatchAsync($"{method}, at the client", () => cell.Kernel.ClientEnd, TcpStates.TimeWait)
                : WatchAsync($"{method}, at the server", () => cell.Kernel.ServerEnd, TcpStates.TimeWait);
        }

        Task<Hold> CloseBare(Peer peer, string name, Action<Socket> before, TcpStates state)
        {
            (Socket client, Socket server) = peer.Connect();
            var kernel = new KernelView(client);
            before(server);
            client.Dispose();
            return WatchAsync(name, () => { GC.KeepAlive(server); return kernel.ClientEnd; }, state);
        }
    }

    private static async Task<Hold> WatchAsync(string name, Func<SockDiagSocket?> look, TcpStates expected)
    {
        long start = TimeProvider.System.GetTimestamp();
        await KernelView.UntilAsync(() => look()?.State == expected, name);
        while (look() is { } end)
        {
            if (TimeProvider.System.GetElapsedTime(start) > Longest)
            {
                return new Hold(name, end.State, null);
            }

            await Task.Delay(50);
        }

        return new Hold(name, expected, TimeProvider.System.GetElapsedTime(start).TotalSeconds);
    }
}
