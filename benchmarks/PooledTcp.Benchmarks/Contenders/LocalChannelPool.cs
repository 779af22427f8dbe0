using DotNetty.Transport.Bootstrapping;
using DotNetty.Transport.Channels;
using DotNetty.Transport.Channels.Local;
using DotNetty.Transport.Channels.Pool;

namespace PooledTcp.Benchmarks.Contenders;

/// <summary>DotNetty's FixedChannelPool over its in-process transport: as with our fake connection, no socket is in the figure.</summary>
internal sealed class LocalChannelPool : IAsyncDisposable
{
    private readonly IChannel _server;
    private readonly FixedChannelPool _pool;

    private LocalChannelPool(IChannel server, FixedChannelPool pool)
    {
        _server = server;
        _pool = pool;
    }

    public static async Task<LocalChannelPool> OpenAsync(int size) => (await OpenAsync(pools: 1, size))[0];

    /// <summary>One server for all: its channel ends with the first pool that is disposed of.</summary>
    public static async Task<LocalChannelPool[]> OpenAsync(int pools, int size)
    {
        LocalAddress address = new($"pool-{Guid.NewGuid():N}");
        IChannel server = await new ServerBootstrap()
            .Group(EventLoops.Shared)
            .Channel<LocalServerChannel>()
            .ChildHandler(new ActionChannelInitializer<LocalChannel>(static _ => { }))
            .BindAsync(address);
        Bootstrap bootstrap = new Bootstrap().Group(EventLoops.Shared).Channel<LocalChannel>().RemoteAddress(address);
        LocalChannelPool[] opened = new LocalChannelPool[pools];
        for (int i = 0; i < pools; i++)
        {
            opened[i] = new LocalChannelPool(server, new FixedChannelPool(bootstrap, NoHandler.Instance, size, int.MaxValue));
            await opened[i].FillAsync(size);
        }

        return opened;
    }

    public ValueTask<IChannel> RentAsync() => _pool.AcquireAsync();

    public ValueTask<bool> ReturnAsync(IChannel channel) => _pool.ReleaseAsync(channel);

    public async ValueTask DisposeAsync()
    {
        ((IDisposable)_pool).Dispose();
        await _server.CloseAsync();
    }

    private async Task FillAsync(int size)
    {
        IChannel[] channels = new IChannel[size];
        for (int i = 0; i < size; i++)
        {
            channels[i] = await RentAsync();
        }

        foreach (IChannel channel in channels)
        {
            await ReturnAsync(channel);
        }
    }

    private sealed class NoHandler : IChannelPoolHandler
    {
        public static readonly NoHandler Instance = new();

        public void ChannelReleased(IChannel channel)
        {
        }

        public void ChannelAcquired(IChannel channel)
        {
        }

        public void ChannelCreated(IChannel channel)
        {
        }
    }
}
