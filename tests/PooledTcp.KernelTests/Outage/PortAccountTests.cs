using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using PooledTcp.KernelTests.Harness;
using PooledTcp.Ports;
using Xunit;

namespace PooledTcp.KernelTests.Outage;

/// <summary>How many connections the ports carry, whose they are, and how many TIME_WAITs a budget allows; through the front door.</summary>
public sealed class PortAccountTests
{
    private const int HeldByOthers = 24;

    private static readonly NamespaceSettings Settings = NamespaceSettings.SmallRange.With("tcp_tw_reuse", "0");
    private static readonly PortRange Slice = new(40000, 40031);
    private static readonly TimeSpan Short = TimeSpan.FromSeconds(5);

    public sealed record Filled(int Connections, int DifferentTuples, List<int> PerPool, string Error, string Text, int LeftOpen);

    public sealed record Shared(int Ours, string Error, string Text, int Used, int Budget, int OursAgain);

    public sealed record Budgeted(int Budget, int Owed, int TimeWaits, Dictionary<string, long> ClosedByMethod);

    [Fact]
    public async Task Two_sources_and_two_destinations_carry_256_connections()
    {
        Filled seen = await NetworkNamespace.RunAsync(FillAsync, Settings);

        Assert.Equal((256, 256), (seen.Connections, seen.DifferentTuples));
        Assert.Equal([128, 128], seen.PerPool);
        Assert.Equal(nameof(LocalPortsExhaustedException), seen.Error);
        Assert.Contains("64 of 64 usable taken by this process (64 live", seen.Text, StringComparison.Ordinal);
        Assert.Equal(0, seen.LeftOpen);
    }

    private static async Task<Filled> FillAsync()
    {
        int openBefore = Sockets.Open();
        using SmallServer one = SmallServer.Start(5001);
        using SmallServer two = SmallServer.Start(5002);
        var client = new PooledTcpClient(new PooledTcpOptions()
            .AddEndpoint("one", endpoint => FromBothSources(endpoint, one))
            .AddEndpoint("two", endpoint => FromBothSources(endpoint, two)));
        var leases = new List<TcpLease>();
        for (int i = 0; i < 128; i++)
        {
            leases.Add(await client.RentAsync("one"));
            leases.Add(await client.RentAsync("two"));
        }

        (string error, string text) = await FailAsync(client.GetPool("one"));
        int tuples = leases.Select(lease => (lease.LocalEndPoint, lease.RemoteEndPoint)).Distinct().Count();
        List<int> perPool = [client.GetPool("one").GetSnapshot().Used, client.GetPool("two").GetSnapshot().Used];
        int connections = Sockets.ClientPorts(5001) + Sockets.ClientPorts(5002);
        foreach (TcpLease lease in leases)
        {
            await lease.DisposeAsync();
        }

        await client.DisposeAsync();
        return new Filled(connections, tuples, perPool, error, text, await Sockets.OpenInTheEndAsync(openBefore) - openBefore);
    }

    private static void FromBothSources(TcpEndpointOptions endpoint, SmallServer server)
    {
        endpoint.Address = $"{server.EndPoint}";
        endpoint.MaxConnections = 200;
        Patient(endpoint);
        endpoint.Ports.SourceAddresses.Add(NamespaceSettings.Server);
        endpoint.Ports.SourceAddresses.Add(NamespaceSettings.Second);
    }

    private static void Patient(TcpEndpointOptions endpoint)
    {
        endpoint.RentTimeout = TimeSpan.FromMinutes(1);
        endpoint.ConnectTimeout = TimeSpan.FromMinutes(1);
    }

    [Fact]
    public async Task A_foreign_process_in_our_slice_is_counted_not_guessed()
    {
        Shared seen = await NetworkNamespace.RunAsync(ShareTheSliceAsync, Settings);

        Assert.Equal(Slice.Count - HeldByOthers, seen.Ours);
        Assert.Equal(nameof(LocalPortsExhaustedException), seen.Error);
        Assert.Contains($"local ports {Slice}", seen.Text, StringComparison.Ordinal);
        Assert.Contains($"{Slice.Count} of {Slice.Count} usable taken, {HeldByOthers} of them not by this process's pools (8 live", seen.Text, StringComparison.Ordinal);

        // The snapshot tells what is ours; the difference is the others'.
        Assert.Equal((seen.Ours, Slice.Count), (seen.Used, seen.Budget));

        // And when they leave, their ports are used.
        Assert.Equal(Slice.Count, seen.OursAgain);
    }

    private static async Task<Shared> ShareTheSliceAsync()
    {
        using SmallServer server = SmallServer.Start();
        using Process others = NetworkNamespace.StartBeside(HoldPortsAsync);
        await KernelView.UntilAsync(() => Sockets.ClientPorts(server.EndPoint.Port) == HeldByOthers, "the others hold their ports");

        await using var client = new PooledTcpClient(new PooledTcpOptions().AddEndpoint("server", endpoint =>
        {
            endpoint.Address = $"{server.EndPoint}";
            endpoint.Ports.Range = $"{Slice}";
            Patient(endpoint);
        }));
        TcpPool pool = client.GetPool("server");
        var leases = new List<TcpLease>();
        for (int i = 0; i < Slice.Count - HeldByOthers; i++)
        {
            leases.Add(await pool.RentAsync());
        }

        (string error, string text) = await FailAsync(pool);
        TcpPoolSnapshot snapshot = pool.GetSnapshot();
        int ours = leases.Count;
        others.Kill();
        await others.WaitForExitAsync();
        while (leases.Count < Slice.Count)
        {
            leases.Add(await pool.RentAsync());
        }

        return new Shared(ours, error, text, snapshot.PortsUsed, snapshot.PortBudget, leases.Count);
    }

    // The other process. An RST at its end, so that it leaves no TIME_WAIT.
    private static async Task<bool> HoldPortsAsync()
    {
        var held = new List<Socket>();
        for (int i = 0; i < HeldByOthers; i++)
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { LingerState = new LingerOption(true, 0) };
            PortSocketOptions.SetPortRange(socket, Slice);
            await socket.ConnectAsync(new IPEndPoint(IPAddress.Parse(NamespaceSettings.Server), 5001));
            held.Add(socket);
        }

        await Task.Delay(Timeout.Infinite);
        return held.Count > 0;
    }

    [Theory]
    [InlineData(20, 5)]
    [InlineData(1000, 16)] // more than there are: the 64 ports count
    public async Task The_share_of_TIME_WAITs_is_one_of_the_budget(int budget, int share)
    {
        Budgeted seen = await NetworkNamespace.RunAsync<Budgeted>(budget == 20 ? ChurnWithinSmallBudgetAsync : ChurnWithinLargeBudgetAsync, Settings);

        Assert.Equal((Math.Min(budget, 64), share, share), (seen.Budget, seen.Owed, seen.TimeWaits));
        Assert.Equal((share, 100 - share), (seen.ClosedByMethod["graceful"], seen.ClosedByMethod["quiet"]));
    }

    private static Task<Budgeted> ChurnWithinSmallBudgetAsync() => ChurnWithinBudgetAsync(20);

    private static Task<Budgeted> ChurnWithinLargeBudgetAsync() => ChurnWithinBudgetAsync(1000);

    private static async Task<Budgeted> ChurnWithinBudgetAsync(int budget)
    {
        using SmallServer server = SmallServer.Start();
        await using var client = new PooledTcpClient(new PooledTcpOptions().AddEndpoint("server", endpoint =>
        {
            endpoint.Address = $"{server.EndPoint}";
            endpoint.MaxUses = 1;
            endpoint.Ports.Budget = budget;
            Patient(endpoint);
        }));
        TcpPool pool = client.GetPool("server");
        for (int i = 0; i < 100; i++)
        {
            await Churn.ExchangeAsync(pool);
        }

        await KernelView.UntilAsync(() => pool.GetSnapshot().Closing == 0, "every close has ended");

        TcpPoolSnapshot snapshot = pool.GetSnapshot();
        return new Budgeted(snapshot.PortBudget, snapshot.TimeWaitOwed, Sockets.ClientTimeWaits(server.EndPoint.Port), snapshot.ClosedByMethod.ToDictionary());
    }

    private static async Task<(string Error, string Text)> FailAsync(TcpPool pool)
    {
        try
        {
            await (await pool.RentAsync(Short)).DisposeAsync();
            return ("none", "");
        }
        catch (Exception e)
        {
            return (e.GetType().Name, e.Message);
        }
    }
}
