using Xunit;

namespace PooledTcp.CacheServiceTests.Support;

/// <summary>Nothing that a test runs outlives it.</summary>
public sealed class ChildTests
{
    private static readonly string[] Sleeper = ["-c", "echo $$; exec sleep 600"];

    [Fact]
    public async Task A_child_ends_with_the_lifeline()
    {
        string directory;
        using (Child child = Child.StartProgram("sh", Sleeper))
        {
            directory = await DirectoryAsync(child);
            Assert.True(Directory.Exists(directory));
        }

        // The lifeline was closed, as the kernel does it when this process dies.
        Assert.False(Directory.Exists(directory));
    }

    [Fact]
    public async Task A_child_that_is_asked_to_end_tells_how_it_did()
    {
        using Child sleeper = Child.StartProgram("sh", Sleeper);
        using Child polite = Child.StartProgram("sh", "-c", "trap 'exit 7' TERM; echo $$; while :; do sleep 0.1; done");
        await DirectoryAsync(sleeper);
        await DirectoryAsync(polite);

        Assert.Equal(128 + 15, await sleeper.StopAsync());
        Assert.Equal(7, await polite.StopAsync());
    }

    /// <summary>In /proc, while it lives.</summary>
    private static async Task<string> DirectoryAsync(Child child)
    {
        await Patience.UntilAsync(() => Task.FromResult(child.Output.Contains('\n', StringComparison.Ordinal)));
        return $"/proc/{child.Output.Trim()}";
    }
}
