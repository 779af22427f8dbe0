using System.Collections.Concurrent;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using PooledTcp.Connections;
using PooledTcp.Health;
using PooledTcp.Tests.Connections;
using PooledTcp.Tests.Fakes;
using PooledTcp.TestSupport;
using Xunit;

namespace PooledTcp.Tests.Health;

/// <summary>The real epoll set on real sockets. An event that must not come is followed by one that must, and its order tells.</summary>
public sealed class PeerCloseWatchTests : IDisposable
{
    private readonly PeerCloseWatch _watch = new();
    private readonly Sink _sink = new();
    private long _id;

    public void Dispose() => _watch.Dispose();

    [LinuxFact]
    public async Task A_fin_is_reported_once_and_an_rst_too()
    {
        var (fin, finPeer) = await AddAsync();
        var (rst, rstPeer) = await AddAsync();
        finPeer.Close();
        Assert.Equal(fin.Id, await _sink.NextAsync());
        LoopbackSockets.Reset(rstPeer);
        Assert.Equal(rst.Id, await _sink.NextAsync());
        while (!_sink.IsEmpty)
        {
            // The kernel wakes twice for a reset, once for the error and once for the state; never again for the FIN.
            Assert.Equal(rst.Id, await _sink.NextAsync());
        }

        fin.Transport.Close();
        rst.Transport.Close();
    }

    [LinuxFact]
    public async Task Data_is_not_reported()
    {
        var (talker, talkerPeer) = await AddAsync();
        var (other, otherPeer) = await AddAsync();
        for (int i = 0; i < 10; i++)
        {
            await talkerPeer.SendAsync(new byte[] { 1 });
        }

        await LoopbackSockets.Until(() => talker.Transport.CheckIdle() == IdleVerdict.UnreadBytes);
        otherPeer.Close();
        Assert.Equal(other.Id, await _sink.NextAsync());
        Assert.True(_sink.IsEmpty);
        talker.Transport.Close();
        talkerPeer.Close();
    }

    [LinuxFact]
    public async Task A_fin_that_came_before_the_registration_is_still_reported()
    {
        // tcp-facts, end of section 4.
        var (client, server) = await LoopbackSockets.ConnectAsync();
        TcpConnection connection = Wrap(client);
        server.Shutdown(SocketShutdown.Send);
        await LoopbackSockets.Until(() => connection.Transport.PeerClosed);
        Assert.True(_watch.TryAdd(connection, _sink));
        Assert.Equal(connection.Id, await _sink.NextAsync());
        server.Close();
    }

    [LinuxFact]
    public async Task A_unix_socket_is_watched_as_well()
    {
        string path = Path.Combine(Path.GetTempPath(), Guid.NewGuid().ToString("N"));
        using Socket listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(path));
        listener.Listen();
        Socket client = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await client.ConnectAsync(new UnixDomainSocketEndPoint(path), LoopbackSockets.Deadline());
        Socket server = await listener.AcceptAsync(LoopbackSockets.Deadline());
        TcpConnection connection = Wrap(client);
        Assert.True(_watch.TryAdd(connection, _sink));
        server.Close();
        Assert.Equal(connection.Id, await _sink.NextAsync());
        Assert.True(connection.Transport.PeerClosed);
        connection.Transport.Close();
        File.Delete(path);
    }

    [LinuxFact]
    public async Task A_descriptor_number_that_is_used_again_reports_its_new_owner_only()
    {
        var (first, firstPeer) = await AddAsync();
        var (client, server) = await LoopbackSockets.ConnectAsync();

        // dup2 closes the first connection and gives its number away in one step: nobody else can get it in between.
        int number = (int)first.Transport.Handle!.DangerousGetHandle();
        Assert.Equal(number, Duplicate((int)client.Handle, number));
        TcpConnection second = Wrap(new Socket(new SafeSocketHandle(number, ownsHandle: false)));
        Assert.True(_watch.TryAdd(second, _sink));
        firstPeer.Close();
        server.Close();
        Assert.Equal(second.Id, await _sink.NextAsync());
        Assert.True(_sink.IsEmpty);
        first.Transport.Close();
        client.Close();
    }

    [LinuxFact]
    public async Task A_set_that_breaks_leaves_its_connections_to_the_sweep_and_the_next_one_makes_another()
    {
        var (before, _) = await AddAsync();
        before.IsWatched = true;
        EpollSet broken = _watch.Set!;
        Thread reader = _watch.Reader!;
        using Socket noSet = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        int number = (int)broken.Descriptor.DangerousGetHandle();
        Assert.Equal(number, Duplicate((int)noSet.Handle, number));
        broken.Wake();
        Assert.True(reader.Join(PoolHarness.Hang));
        Assert.False(before.IsWatched);

        var (after, peer) = await AddAsync();
        Assert.NotSame(reader, _watch.Reader);
        peer.Close();
        Assert.Equal(after.Id, await _sink.NextAsync());
        before.Transport.Close();
        after.Transport.Close();
    }

    [LinuxFact]
    public async Task What_was_forgotten_is_not_reported_though_its_descriptor_is_open()
    {
        var (gone, gonePeer) = await AddAsync();
        _watch.Forget(gone);
        gonePeer.Close();
        await LoopbackSockets.Until(() => gone.Transport.PeerClosed);
        var (other, otherPeer) = await AddAsync();
        otherPeer.Close();
        Assert.Equal(other.Id, await _sink.NextAsync());
        Assert.True(_sink.IsEmpty);
        gone.Transport.Close();
    }

    [LinuxFact]
    public async Task An_event_of_one_that_was_forgotten_is_not_taken_for_the_next_one_in_its_place()
    {
        var (gone, gonePeer) = await AddAsync();
        _watch.Forget(gone);
        var (heir, heirPeer) = await AddAsync();
        Assert.Equal(0, heir.WatchIndex);
        gonePeer.Close();
        await LoopbackSockets.Until(() => gone.Transport.PeerClosed);
        var (last, lastPeer) = await AddAsync();
        lastPeer.Close();
        Assert.Equal(last.Id, await _sink.NextAsync());
        heirPeer.Close();
        Assert.Equal(heir.Id, await _sink.NextAsync());
        Assert.True(_sink.IsEmpty);
        gone.Transport.Close();
    }

    [LinuxFact]
    public async Task A_closed_socket_is_refused_and_leaves_nothing_behind()
    {
        var (client, server) = await LoopbackSockets.ConnectAsync();
        TcpConnection connection = Wrap(client);
        connection.Transport.Close();
        Assert.False(_watch.TryAdd(connection, _sink));
        Assert.Equal(0, _watch.Count);
        server.Close();
    }

    [LinuxFact]
    public async Task A_sink_that_fails_blinds_nobody()
    {
        var (bad, badPeer) = await AddAsync(new FaultySink());
        bad.IsWatched = true;
        var (good, goodPeer) = await AddAsync();
        badPeer.Close();
        await LoopbackSockets.Until(() => !bad.IsWatched);
        goodPeer.Close();
        Assert.Equal(good.Id, await _sink.NextAsync());
    }

    [LinuxFact]
    public async Task The_thread_begins_with_the_first_connection_and_ends_with_the_watch()
    {
        Assert.Null(_watch.Reader);
        var (connection, peer) = await AddAsync();
        Thread reader = _watch.Reader!;
        Assert.True(reader.IsBackground);
        Assert.False(reader.IsThreadPoolThread);
        peer.Close();
        Assert.Equal(connection.Id, await _sink.NextAsync());
        Assert.NotEqual(Environment.CurrentManagedThreadId, _sink.LastThread);

        _watch.Dispose();
        Assert.True(reader.Join(PoolHarness.Hang));
        Assert.False(_watch.TryAdd(connection, _sink));
        connection.Transport.Close();
    }

    [LinuxFact]
    public async Task A_watch_that_was_forgotten_ends_its_thread()
    {
        Thread reader = await StartAndForgetAsync();
        await LoopbackSockets.Until(() =>
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            return !reader.IsAlive;
        });
    }

    [LinuxFact]
    public async Task A_connection_that_was_forgotten_is_collected_and_its_place_taken_by_the_next()
    {
        WeakReference lost = await AddAndForgetAsync();
        Assert.Equal(0, _watch.Count);
        var (next, _) = await AddAsync();
        Assert.Equal(0, next.WatchIndex);
        await LoopbackSockets.Until(() =>
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            return !lost.IsAlive;
        });
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static async Task<Thread> StartAndForgetAsync()
    {
        PeerCloseWatch watch = new();
        var (client, server) = await LoopbackSockets.ConnectAsync();
        Assert.True(watch.TryAdd(new TcpConnection(1, "test", new SocketTransport(new ConnectedSocket(client)), null!, 0, 1, new PoolClock(TimeProvider.System)), new Sink()));
        server.Close();
        return watch.Reader!;
    }

    private static TcpConnection Wrap(Socket client, long id) =>
        new(id, "test", new SocketTransport(new ConnectedSocket(client)), null!, 0, 1, new PoolClock(TimeProvider.System));

    private TcpConnection Wrap(Socket client) => Wrap(client, ++_id);

    [MethodImpl(MethodImplOptions.NoInlining)]
    private async Task<WeakReference> AddAndForgetAsync()
    {
        var (connection, _) = await AddAsync();
        _watch.Forget(connection);
        return new WeakReference(connection);
    }

    private async Task<(TcpConnection Connection, Socket Peer)> AddAsync(IPeerCloseSink? sink = null)
    {
        var (client, server) = await LoopbackSockets.ConnectAsync();
        TcpConnection connection = Wrap(client);
        Assert.True(_watch.TryAdd(connection, sink ?? _sink));
        return (connection, server);
    }

    [DllImport("libc", EntryPoint = "dup2")]
    private static extern int Duplicate(int from, int to);

    private sealed class Sink : IPeerCloseSink
    {
        private readonly ConcurrentQueue<long> _ids = new();

        public bool IsEmpty => _ids.IsEmpty;

        public int LastThread { get; private set; }

        public void OnPeerClosed(TcpConnection connection)
        {
            LastThread = Environment.CurrentManagedThreadId;
            _ids.Enqueue(connection.Id);
        }

        public async Task<long> NextAsync()
        {
            long id = 0;
            await LoopbackSockets.Until(() => _ids.TryDequeue(out id));
            return id;
        }
    }

    private sealed class FaultySink : IPeerCloseSink
    {
        public void OnPeerClosed(TcpConnection connection) => throw new InvalidOperationException("a defect");
    }
}
