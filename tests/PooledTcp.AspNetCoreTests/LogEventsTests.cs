using PooledTcp.AspNetCore;
using PooledTcp.Tests.Telemetry;
using Xunit;

namespace PooledTcp.AspNetCoreTests;

public sealed class LogEventsTests
{
    [Fact]
    public void The_table_of_the_page_is_that_of_the_methods()
    {
        var methods = LogPage.MethodsOf(typeof(ClosePolicyOptions).Assembly);

        Assert.NotEmpty(methods);
        Assert.Equal(methods.Select(LogPage.Row), LogPage.Rows("server events"));
    }
}
