using System.Reflection;
using Xunit;

namespace PooledTcp.Tests.Telemetry;

/// <summary>What docs/logs.md lists is what the library logs.</summary>
public sealed class LogEventsTests
{
    private static readonly IReadOnlyList<MethodInfo> Methods = LogPage.MethodsOf(typeof(TcpPool).Assembly);

    [Fact]
    public void The_table_is_that_of_the_methods() => Assert.Equal(Methods.Select(LogPage.Row), LogPage.Rows("events"));

    [Fact]
    public void Ids_and_names_are_given_once()
    {
        Assert.NotEmpty(Methods);
        Assert.Equal(Methods.Count, Methods.DistinctBy(static method => LogPage.EventOf(method).EventId).Count());
        Assert.Equal(Methods.Count, Methods.DistinctBy(static method => LogPage.EventOf(method).EventName, StringComparer.Ordinal).Count());
        Assert.All(Methods, static method => Assert.StartsWith("pooled_tcp.", LogPage.EventOf(method).EventName, StringComparison.Ordinal));
    }
}
