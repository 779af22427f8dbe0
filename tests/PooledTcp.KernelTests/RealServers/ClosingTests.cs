using Xunit;

namespace PooledTcp.KernelTests.RealServers;

/// <summary>Who ends in TIME_WAIT when connections to servers that other people wrote are closed; docs/closing-real-servers.md is written here.</summary>
public sealed class ClosingTests(ClosingMeasurements measurements) : IClassFixture<ClosingMeasurements>
{
    [Theory]
    [MemberData(nameof(ClosingMeasurements.Names), MemberType = typeof(ClosingMeasurements))]
    public async Task Each_close_leaves_the_time_wait_where_the_policy_says(string server)
    {
        ClosingRow[] rows = await measurements.OfAsync(server);

        Assert.Equal(rows.Select(static row => row.Promised().ToString()), rows.Select(static row => row.ToString()));
        Assert.Equal(rows.Select(static row => row.Promised().ClosedByPeer), rows.Select(static row => row.ClosedByPeer));
    }

    [Theory]
    [MemberData(nameof(ClosingMeasurements.Names), MemberType = typeof(ClosingMeasurements))]
    public async Task With_server_first_the_client_has_none(string server)
    {
        ClosingRow[] rows = [.. (await measurements.OfAsync(server)).Where(static row => row.ClosesFirst == ClosesFirst.Server)];

        Assert.All(rows, static row => Assert.Equal(0, row.ClientTimeWait));
        Assert.All(
            rows.Where(static row => row.HasGoodbye || row.IdleClose == IdleClose.Fin),
            static row => Assert.Equal(ClosingRow.Connections, row.ServerTimeWait));
    }

    [Theory]
    [MemberData(nameof(ClosingMeasurements.Names), MemberType = typeof(ClosingMeasurements))]
    public async Task The_table_in_the_documentation_is_what_was_measured(string server)
    {
        ClosingRow[] rows = await measurements.OfAsync(server);

        string? difference = await ClosingTable.UpdateAsync(server, rows, TestContext.Current.CancellationToken);

        // Not Assert.Null, which would cut the sentence off.
        Assert.True(difference is null, difference);
    }
}
