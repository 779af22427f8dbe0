using PooledTcp.IntegrationTests.Servers;
using PooledTcp.IntegrationTests.Support;
using Xunit;

namespace PooledTcp.IntegrationTests;

/// <summary>The cancellation tests can fail: the same callers, on a pool that is lied to.</summary>
public sealed class CancellationControlTests(GarnetEmbedded server) : IClassFixture<GarnetEmbedded>
{
    [Fact(Timeout = 60_000)]
    public async Task Callers_who_complete_an_unanswered_request_get_each_others_replies()
    {
        await using PooledTcpClient client = server.NewClient(static endpoint =>
        {
            endpoint.MaxConnections = 8;
            endpoint.AllowOneWay = true; // without it, even this lie does no harm
        });
        var callers = new RandomCancellations(client.GetPool("server"), seed: 1) { Lie = true };
        for (int round = 0; round < 20 && callers.Wrong.IsEmpty; round++)
        {
            await callers.RunAsync(600, TestContext.Current.CancellationToken);
        }

        Assert.NotEmpty(callers.Wrong);
    }
}
