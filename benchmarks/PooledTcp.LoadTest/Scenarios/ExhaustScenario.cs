using System.Net.Sockets;
using PooledTcp.KernelTests.Harness;
using PooledTcp.KernelTests.Outage;
using PooledTcp.LoadTest.Namespaces;
using PooledTcp.LoadTest.Reporting;
using PooledTcp.LoadTest.Statistics;

namespace PooledTcp.LoadTest.Scenarios;

/// <summary>
/// T10: somebody else on the host uses up every port towards the server. A pool that is warm does not notice. The gate's form has a
/// range of 4,096 ports instead of 28,232: the kernel searches longer for a free one the fewer there are, which takes half a
/// minute of CPU time for all of them.
/// </summary>
internal static class ExhaustScenario
{
    private const int Requests = 60_000;
    private const int Connections = 8;
    private const int Callers = 32;

    /// <summary>The others go on trying: after so many requests, one connect.</summary>
    private const int RequestsPerConnect = 1_000;

    /// <param name="Connects">Of connect per request, until no port was left.</param>
    /// <param name="Errors">Of the pool's callers.</param>
    /// <param name="NewDials">Of the pool, after it was warm.</param>
    /// <param name="ConnectsTried">Beside the pool's requests, by the others.</param>
    /// <param name="ConnectsFailed">How many of those found no port.</param>
    public sealed record Outage(int Connects, int Errors, long NewDials, int ConnectsTried, int ConnectsFailed);

    public static async Task RunAsync(Report report, Effort effort, CancellationToken cancellationToken)
    {
        NamespaceSettings settings = effort == Effort.Full ? Namespaced.FullRange : Namespaced.FullRange.With("ip_local_port_range", "40000 44095");
        report.Title($"{Requests} requests over a pool of {Connections} beside exhausted ports (T10)");
        Func<Task<Outage>> play = effort == Effort.Check ? PlayPatientlyAsync : PlayAsync;
        Outage outage = await Namespaced.PlayAsync(play, cancellationToken, settings);
        report.Add("exhausted ports", "connect per request", Requests, "requests", "connects until no port was left", new Sample(outage.Connects));
        report.Add("exhausted ports", "connect per request", Requests, "requests", $"of {outage.ConnectsTried} more connects failed", new Sample(outage.ConnectsFailed));
        report.NeverAbove("T10.errors", new Sample(outage.Errors), 0, "errors", $"of {Requests} requests");
        report.NeverAbove("T10.dials", new Sample(outage.NewDials), 0, "dials", $"after the pool of {Connections} was warm");
        report.NeverAbove("T10.proof", new Sample(outage.ConnectsTried - outage.ConnectsFailed), 0, "connects", "that found a port meanwhile: the outage was real");
    }

    private static Task<Outage> PlayAsync() => PlayAsync(static _ => { });

    /// <summary>A machine that others use may stop for seconds, and that is no error of the pool.</summary>
    private static Task<Outage> PlayPatientlyAsync() => PlayAsync(static endpoint =>
    {
        endpoint.RentTimeout = TimeSpan.FromMinutes(1);
        endpoint.ConnectTimeout = TimeSpan.FromMinutes(1);
    });

    private static async Task<Outage> PlayAsync(Action<TcpEndpointOptions> configure)
    {
        using SmallServer server = SmallServer.Start();
        await using PooledTcpClient client = new(new PooledTcpOptions().AddEndpoint("server", endpoint =>
        {
            endpoint.Address = $"{server.EndPoint}";
            endpoint.MaxConnections = Connections;
            configure(endpoint);
        }));
        TcpPool pool = client.GetPool("server");
        await pool.WarmUpAsync(Connections);
        int connects = await ConnectPerRequest.ExhaustAsync(server.EndPoint);
        int left = Requests;
        int errors = 0;
        int tried = 0;
        int failed = 0;
        await Task.WhenAll(Enumerable.Range(0, Callers).Select(_ => Task.Run(async () =>
        {
            int number;
            while ((number = Interlocked.Decrement(ref left)) >= 0)
            {
                try
                {
                    await Churn.ExchangeAsync(pool);
                }
                catch (Exception)
                {
                    Interlocked.Increment(ref errors);
                }

                if (number % RequestsPerConnect == 0)
                {
                    Interlocked.Increment(ref tried);
                    try
                    {
                        await ConnectPerRequest.ExchangeAsync(server.EndPoint);
                    }
                    catch (SocketException e) when (e.SocketErrorCode == SocketError.AddressNotAvailable)
                    {
                        Interlocked.Increment(ref failed);
                    }
                }
            }
        })));
        return new Outage(connects, errors, pool.GetSnapshot().Created - Connections, tried, failed);
    }
}
