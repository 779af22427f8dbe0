using System.Net.Sockets;
using PooledTcp.Connections;
using PooledTcp.KernelTests.Harness;
using PooledTcp.Ports;
using PooledTcp.Shutdown;
using Xunit;

namespace PooledTcp.KernelTests.Shutdown;

/// <summary>
/// The rows of tcp-facts.md, section 1, that the closing code relies on and that no cell of <see cref="CloseMatrix"/> shows
/// by itself. Bare sockets where the row is about the kernel, our own where it is about a move.
/// </summary>
public sealed class TcpFactTests
{
    private const int ProtocolTcp = 6;
    private const int Linger2 = 8;

    // More than the window of a receive buffer that nobody empties.
    private const int Much = 192 * 1024;

    private static readonly NamespaceSettings Namespace = NamespaceSettings.SmallRange.With("tcp_tw_reuse", "0");

    /// <param name="TimeWait">In the end.</param>
    /// <param name="Before">Both ends just before the move the row is about.</param>
    /// <param name="Peer">The server's next receive.</param>
    /// <param name="Written">By the client.</param>
    /// <param name="Arrived">At the server's program.</param>
    /// <param name="Account">What our moves reported, where they were used.</param>
    private sealed record Fact(TimeWaitAt TimeWait, string Before, string Peer, int Written = 0, int Arrived = 0, CloseOutcome Account = default);

    [Fact]
    public async Task Row_3_fins_that_cross_leave_both_in_time_wait()
    {
        Fact fact = await NetworkNamespace.RunAsync(CrossAsync, Namespace);
        Assert.Equal((TimeWaitAt.Both, "client FinWait1, server FinWait1"), (fact.TimeWait, fact.Before));
        Assert.Equal(new CloseOutcome(CloseMethod.Graceful, PeerFirst: false, TimeWaitIsOurs: true), fact.Account);
    }

    private static async Task<Fact> CrossAsync()
    {
        using var peer = Peer.Start();
        (Socket client, Socket server) = peer.Connect();
        var kernel = new KernelView(client);
        CutCable.To(client);
        CutCable.To(server);
        server.Shutdown(SocketShutdown.Send);
        var socket = new ConnectedSocket(client);
        ValueTask<CloseOutcome> close = CloseMoves.GracefulAsync(
            new SocketTransport(socket), socket, TimeSpan.FromSeconds(60), CancellationToken.None);
        string before = kernel.States;
        CutCable.Mend(client);
        CutCable.Mend(server);
        CloseOutcome outcome = await close;
        server.Dispose();
        await KernelView.UntilAsync(() => kernel.IsSettled, kernel.States);
        return new Fact(kernel.TimeWait, before, "", Account: outcome);
    }

    /// <summary>TCP_LINGER2 is about FIN_WAIT2, which crossing FINs never come to: the one TIME_WAIT that Quiet can leave, and nobody's books know.</summary>
    [Fact]
    public async Task Rows_3_and_9_a_quiet_close_that_crosses_the_servers_leaves_both_in_time_wait()
    {
        Fact fact = await NetworkNamespace.RunAsync(CrossQuietlyAsync, Namespace);
        Assert.Equal((TimeWaitAt.Both, "client Closing, server FinWait1"), (fact.TimeWait, fact.Before));
    }

    private static async Task<Fact> CrossQuietlyAsync()
    {
        using var peer = Peer.Start();
        (Socket client, Socket server) = peer.Connect();
        var kernel = new KernelView(client);
        CutCable.To(server);
        var socket = new ConnectedSocket(client);
        CloseOutcome outcome = await CloseMoves.QuietAsync(
            new SocketTransport(socket), socket, TimeSpan.FromSeconds(60), CancellationToken.None);
        server.Shutdown(SocketShutdown.Send);
        await KernelView.UntilAsync(() => kernel.ClientEnd?.State == TcpStates.Closing, kernel.States);
        string before = kernel.States;
        CutCable.Mend(server);
        await KernelView.UntilAsync(() => kernel.IsSettled, kernel.States);
        server.Dispose();
        return new Fact(kernel.TimeWait, before, "", Account: outcome);
    }

    [Fact]
    public async Task Row_5_a_close_over_unread_bytes_is_a_reset_and_loses_what_was_sent()
    {
        SendBuffer.SkipUnlessHolds(Much);
        Fact fact = await NetworkNamespace.RunAsync(CloseOverUnreadAsync, Namespace);
        Assert.Equal((TimeWaitAt.Nobody, "ConnectionReset"), (fact.TimeWait, fact.Peer));
        Assert.InRange(fact.Arrived, 0, fact.Written - 1);
    }

    [Fact]
    public async Task Row_5_shutdown_first_does_not_help()
    {
        SendBuffer.SkipUnlessHolds(Much);
        Fact fact = await NetworkNamespace.RunAsync(ShutdownOverUnreadAsync, Namespace);
        Assert.Equal((TimeWaitAt.Nobody, "ConnectionReset"), (fact.TimeWait, fact.Peer));
        Assert.InRange(fact.Arrived, 0, fact.Written - 1);
    }

    private static Task<Fact> CloseOverUnreadAsync() => CloseOverUnreadAsync(static _ => { });

    private static Task<Fact> ShutdownOverUnreadAsync() => CloseOverUnreadAsync(static client => client.Shutdown(SocketShutdown.Send));

    private static async Task<Fact> CloseOverUnreadAsync(Action<Socket> first)
    {
        using var peer = Peer.Start();
        (Socket client, Socket server) = peer.Connect();
        var kernel = new KernelView(client);
        server.Send(new byte[100]);
        await KernelView.UntilAsync(() => client.Available == 100, "unread bytes");
        client.SendBufferSize = 512 * 1024;
        int written = client.Send(new byte[Much]);
        first(client);
        client.Dispose();
        (int arrived, string saw) = ReadAll(server);
        server.Dispose();
        await KernelView.UntilAsync(() => kernel.IsSettled, kernel.States);
        return new Fact(kernel.TimeWait, "", saw, written, arrived);
    }

    [Fact]
    public async Task Row_6_a_reset_after_the_servers_close_leaves_nothing_anywhere()
    {
        Fact fact = await NetworkNamespace.RunAsync(ResetAfterFinAsync, Namespace);
        Assert.Equal((TimeWaitAt.Nobody, "client CloseWait, server FinWait2"), (fact.TimeWait, fact.Before));
    }

    private static async Task<Fact> ResetAfterFinAsync()
    {
        using var peer = Peer.Start();
        (Socket client, Socket server) = peer.Connect();
        var kernel = new KernelView(client);
        server.Dispose();
        await KernelView.UntilAsync(() => kernel.ServerEnd?.State == TcpStates.FinWait2, kernel.States);
        string before = kernel.States;
        ((IClosingSocket)new ConnectedSocket(client)).Abort();
        await KernelView.UntilAsync(() => kernel.IsSettled, kernel.States);
        return new Fact(kernel.TimeWait, before, "");
    }

    [Fact]
    public async Task Row_7_a_reset_in_answer_to_our_fin_leaves_nothing_anywhere()
    {
        Fact fact = await NetworkNamespace.RunAsync(ResetAnswersFinAsync, Namespace);
        Assert.Equal((TimeWaitAt.Nobody, "client FinWait2, server CloseWait"), (fact.TimeWait, fact.Before));
        Assert.Equal(new CloseOutcome(CloseMethod.Graceful, PeerFirst: false, TimeWaitIsOurs: false), fact.Account);
    }

    private static async Task<Fact> ResetAnswersFinAsync()
    {
        using var peer = Peer.Start();
        (Socket client, Socket server) = peer.Connect();
        var kernel = new KernelView(client);
        var socket = new ConnectedSocket(client);
        ValueTask<CloseOutcome> close = CloseMoves.GracefulAsync(
            new SocketTransport(socket), socket, TimeSpan.FromSeconds(60), CancellationToken.None);
        await KernelView.UntilAsync(() => kernel.ClientEnd?.State == TcpStates.FinWait2, kernel.States);
        string before = kernel.States;
        ((IClosingSocket)new ConnectedSocket(server)).Abort();
        CloseOutcome outcome = await close;
        await KernelView.UntilAsync(() => kernel.IsSettled, kernel.States);
        return new Fact(kernel.TimeWait, before, "", Account: outcome);
    }

    [Fact]
    public async Task Row_8_a_time_wait_stays_whatever_is_done_to_its_socket()
    {
        Fact fact = await NetworkNamespace.RunAsync(ResetTimeWaitAsync, Namespace);
        Assert.Equal((TimeWaitAt.Client, "client TimeWait, server gone"), (fact.TimeWait, fact.Before));
    }

    private static async Task<Fact> ResetTimeWaitAsync()
    {
        using var peer = Peer.Start();
        (Socket client, Socket server) = peer.Connect();
        var kernel = new KernelView(client);
        client.Shutdown(SocketShutdown.Send);
        server.Dispose();
        await KernelView.UntilAsync(() => kernel.IsSettled, kernel.States);
        string before = kernel.States;
        ((IClosingSocket)new ConnectedSocket(client)).Abort();
        return new Fact(kernel.TimeWait, before, "");
    }

    [Fact]
    public async Task Row_9_after_a_quiet_close_the_server_reads_everything_and_then_cannot_write()
    {
        SendBuffer.SkipUnlessHolds(Much);
        Fact fact = await NetworkNamespace.RunAsync(QuietAsync, Namespace);
        Assert.Equal((TimeWaitAt.Nobody, "end, then EPIPE"), (fact.TimeWait, fact.Peer));
        Assert.Equal(fact.Written, fact.Arrived);
    }

    private static async Task<Fact> QuietAsync()
    {
        using var peer = Peer.Start();
        (Socket client, Socket server) = peer.Connect();
        var kernel = new KernelView(client);
        client.SendBufferSize = 512 * 1024;
        int written = client.Send(new byte[Much]);
        var socket = new ConnectedSocket(client);
        socket.ForgetAfterFin();
        ((IClosingSocket)socket).Close();
        (int arrived, string saw) = ReadAll(server);
        await KernelView.UntilAsync(() => kernel.IsSettled, kernel.States);
        server.Send(new byte[1], SocketFlags.None, out SocketError error);
        server.Dispose();

        // .NET's name for EPIPE on a socket that was connected.
        return new Fact(kernel.TimeWait, "", error == SocketError.Shutdown ? saw + ", then EPIPE" : $"{saw}, then {error}", written, arrived);
    }

    [Fact]
    public async Task Row_10_a_quiet_close_that_waits_for_the_servers_fin_is_not_quiet()
    {
        Fact fact = await NetworkNamespace.RunAsync(QuietTooLateAsync, Namespace);
        Assert.Equal(TimeWaitAt.Client, fact.TimeWait);
    }

    private static async Task<Fact> QuietTooLateAsync()
    {
        using var peer = Peer.Start();
        (Socket client, Socket server) = peer.Connect();
        var kernel = new KernelView(client);
        var socket = new ConnectedSocket(client);
        socket.ForgetAfterFin();
        socket.ShutdownSend();
        server.Dispose();
        await socket.DrainToEndAsync(CancellationToken.None);
        ((IClosingSocket)socket).Close();
        await KernelView.UntilAsync(() => kernel.IsSettled, kernel.States);
        return new Fact(kernel.TimeWait, "", "");
    }

    [Fact]
    public async Task Row_11_tcp_linger2_in_seconds_shortens_fin_wait_2()
    {
        double seconds = await NetworkNamespace.RunAsync(ShortFinWait2Async, Namespace);
        // Without it a minute.
        Assert.InRange(seconds, 1.9, 40);
    }

    private static async Task<double> ShortFinWait2Async()
    {
        using var peer = Peer.Start();
        (Socket client, Socket server) = peer.Connect();
        var kernel = new KernelView(client);
        client.SetRawSocketOption(ProtocolTcp, Linger2, BitConverter.GetBytes(3));
        long start = TimeProvider.System.GetTimestamp();
        client.Dispose();
        await KernelView.UntilAsync(() => kernel.ClientEnd is null, kernel.States);
        server.Dispose();
        return TimeProvider.System.GetElapsedTime(start).TotalSeconds;
    }

    private static (int Bytes, string End) ReadAll(Socket server)
    {
        var buffer = new byte[64 * 1024];
        server.ReceiveTimeout = 60_000;
        for (int total = 0; ;)
        {
            int received = server.Receive(buffer, SocketFlags.None, out SocketError error);
            if (error != SocketError.Success || received == 0)
            {
                return (total, error == SocketError.Success ? "end" : error.ToString());
            }

            total += received;
        }
    }
}
