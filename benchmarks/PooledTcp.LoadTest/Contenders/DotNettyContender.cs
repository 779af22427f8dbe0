using System.Net;
using DotNetty.Buffers;
using DotNetty.Transport.Bootstrapping;
using DotNetty.Transport.Channels;
using DotNetty.Transport.Channels.Pool;
using DotNetty.Transport.Channels.Sockets;
using PooledTcp.Benchmarks.Contenders;
using PooledTcp.LoadTest.Servers;
using PooledTcp.LoadTest.Statistics;

namespace PooledTcp.LoadTest.Contenders;

/// <summary>DotNetty's FixedChannelPool: the one pool for raw TCP that .NET had.</summary>
internal sealed class DotNettyContender(IPEndPoint server, Wire wire, int connections) : Contender("DotNetty FixedChannelPool")
{
    private FixedChannelPool _pool = null!;

    public override async Task OpenAsync()
    {
        _pool = CreatePool();
        IChannel[] channels = new IChannel[connections];
        for (int i = 0; i < connections; i++)
        {
            channels[i] = await _pool.AcquireAsync();
        }

        foreach (IChannel channel in channels)
        {
            await _pool.ReleaseAsync(channel);
        }
    }

    /// <summary>An empty one.</summary>
    public void OpenEmpty() => _pool = CreatePool();

    public override async Task WorkAsync(Worker worker)
    {
        while (worker.Goes)
        {
            await RequestAsync();
            worker.Done();
        }
    }

    public async Task RequestAsync()
    {
        IChannel channel = await _pool.AcquireAsync();
        ReplyHandler handler = channel.Pipeline.Get<ReplyHandler>();
        Task reply = handler.Expect(wire.ReplyLength);

        // To await the write as well would be another hop to the thread pool: only its failure is of interest.
        _ = channel.WriteAndFlushAsync(Unpooled.WrappedBuffer(wire.Request)).ContinueWith(
            static (write, handler) => ((ReplyHandler)handler!).Fail(write.Exception!),
            handler,
            CancellationToken.None,
            TaskContinuationOptions.OnlyOnFaulted | TaskContinuationOptions.ExecuteSynchronously,
            TaskScheduler.Default);
        await reply;
        await _pool.ReleaseAsync(channel);
    }

    protected override ValueTask CloseAsync()
    {
        ((IDisposable)_pool).Dispose();
        return default;
    }

    private FixedChannelPool CreatePool() => new(
        new Bootstrap().Group(EventLoops.Shared).Channel<TcpSocketChannel>().Option(ChannelOption.TcpNodelay, true).RemoteAddress(server),
        Handlers.Instance,
        connections,
        int.MaxValue);

    private sealed class Handlers : IChannelPoolHandler
    {
        public static readonly Handlers Instance = new();

        public void ChannelReleased(IChannel channel)
        {
        }

        public void ChannelAcquired(IChannel channel)
        {
        }

        public void ChannelCreated(IChannel channel) => channel.Pipeline.AddLast(new ReplyHandler());
    }

    /// <summary>Counts the bytes of one reply.</summary>
    private sealed class ReplyHandler : SimpleChannelInboundHandler<IByteBuffer>
    {
        private TaskCompletionSource? _reply;
        private int _missing;

        public Task Expect(int length)
        {
            _missing = length;
            TaskCompletionSource reply = new(TaskCreationOptions.RunContinuationsAsynchronously);
            Volatile.Write(ref _reply, reply);
            return reply.Task;
        }

        public void Fail(Exception exception) => _reply?.TrySetException(exception);

        protected override void ChannelRead0(IChannelHandlerContext ctx, IByteBuffer msg)
        {
            _missing -= msg.ReadableBytes;
            if (_missing <= 0)
            {
                _reply?.TrySetResult();
            }
        }

        public override void ChannelInactive(IChannelHandlerContext context)
        {
            _reply?.TrySetException(new EndOfStreamException("The server closed before it had answered."));
            base.ChannelInactive(context);
        }
    }
}
