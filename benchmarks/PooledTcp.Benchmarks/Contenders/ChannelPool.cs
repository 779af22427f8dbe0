using System.Threading.Channels;

namespace PooledTcp.Benchmarks.Contenders;

/// <summary>A bounded channel that holds what is idle: rent reads, return writes. Full from the start, since it can open nothing.</summary>
internal sealed class ChannelPool
{
    private readonly Channel<object> _idle;

    public ChannelPool(int size)
    {
        _idle = Channel.CreateBounded<object>(size);
        for (int i = 0; i < size; i++)
        {
            _idle.Writer.TryWrite(new object());
        }
    }

    public ValueTask<object> RentAsync() => _idle.Reader.ReadAsync();

    public void Return(object item) => _idle.Writer.TryWrite(item);
}
