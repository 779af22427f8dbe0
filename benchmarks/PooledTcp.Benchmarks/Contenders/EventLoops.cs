using DotNetty.Transport.Channels;

namespace PooledTcp.Benchmarks.Contenders;

/// <summary>
/// DotNetty's threads, one group for the whole process and never shut down: about every tenth ShutdownGracefullyAsync did not end
/// here, and its loops spun, which would be in everybody's figures from then on.
/// </summary>
internal static class EventLoops
{
    public static MultithreadEventLoopGroup Shared { get; } = new(Environment.ProcessorCount);
}
