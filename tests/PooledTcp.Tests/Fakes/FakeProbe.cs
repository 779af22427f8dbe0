using System.Threading.Channels;
using PooledTcp.Connections;

namespace PooledTcp.Tests.Fakes;

/// <summary>A probe whose answers the test gives, or that answers at once.</summary>
internal sealed class FakeProbe
{
    private readonly Channel<(long Id, TaskCompletionSource Answer)> _running =
        Channel.CreateUnbounded<(long Id, TaskCompletionSource Answer)>();

    private int _count;

    public bool AnswersAtOnce { get; init; }

    public int Count => Volatile.Read(ref _count);

    public EndpointHooks Hooks => new()
    {
        Probe = async (lease, _) =>
        {
            Interlocked.Increment(ref _count);
            if (!AnswersAtOnce)
            {
                TaskCompletionSource answer = new(TaskCreationOptions.RunContinuationsAsynchronously);
                _running.Writer.TryWrite((lease.ConnectionId, answer));
                await answer.Task;
            }
        },
    };

    public Task<(long Id, TaskCompletionSource Answer)> NextAsync() => _running.Reader.ReadAsync().AsTask().WaitAsync(PoolHarness.Hang);

    public bool TryNext() => _running.Reader.TryRead(out _);
}
