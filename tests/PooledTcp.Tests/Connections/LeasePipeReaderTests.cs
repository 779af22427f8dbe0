using System.IO.Pipelines;
using PooledTcp.Connections;
using Xunit;

namespace PooledTcp.Tests.Connections;

/// <summary>What a pipe reader holds for a caller who may never come back for it.</summary>
public sealed class LeasePipeReaderTests
{
    [Fact]
    public async Task A_read_that_has_not_told_its_caller_counts_as_leftovers()
    {
        Pipe pipe = new();
        LeasePipeReader reader = new(0, pipe.Reader);
        Assert.False(reader.HasLeftovers);
        Task<ReadResult> read = reader.ReadAsync(TestContext.Current.CancellationToken).AsTask();
        Assert.True(reader.HasLeftovers);

        await pipe.Writer.WriteAsync(new byte[3], TestContext.Current.CancellationToken);
        ReadResult result = await read;
        Assert.True(reader.HasLeftovers);
        reader.AdvanceTo(result.Buffer.End);
        Assert.False(reader.HasLeftovers);
    }
}
