using System.Security.Authentication;
using PooledTcp.KernelTests.Harness;
using PooledTcp.KernelTests.Ports;
using PooledTcp.Ports;
using Xunit;

namespace PooledTcp.KernelTests.Shutdown;

/// <summary>Every row of <see cref="CloseMatrix"/>, over every kind of connection, side by side in a namespace per kind.</summary>
public sealed class CloseMatrixTests
{
    /// <param name="Rows">As measured.</param>
    /// <param name="KernelOwes">TIME_WAITs at the client's ports.</param>
    /// <param name="LedgerOwes">What our books say.</param>
    private sealed record Played(List<MatrixRow> Rows, int KernelOwes, PortUse LedgerOwes);

    [Fact]
    public Task Plain() => MatchesAsync(PlainAsync, isTls: false);

    [Fact]
    public Task Dual_mode() => MatchesAsync(DualModeAsync, isTls: false);

    [Fact]
    public Task Tls12() => MatchesAsync(Tls12Async, isTls: true);

    [Fact]
    public Task Tls13_with_its_tickets_unread() => MatchesAsync(Tls13UnusedAsync, isTls: true);

    [Fact]
    public Task Tls13_after_an_exchange() => MatchesAsync(Tls13UsedAsync, isTls: true);

    private static Task<Played> PlainAsync() => PlayAsync(new Wiring(SslProtocols.None));

    private static Task<Played> DualModeAsync() => PlayAsync(new Wiring(SslProtocols.None, DualMode: true));

    private static Task<Played> Tls12Async() => PlayAsync(new Wiring(SslProtocols.Tls12));

    private static Task<Played> Tls13UnusedAsync() => PlayAsync(new Wiring(SslProtocols.Tls13, Used: false));

    private static Task<Played> Tls13UsedAsync() => PlayAsync(new Wiring(SslProtocols.Tls13));

    private static async Task MatchesAsync(Func<Task<Played>> scenario, bool isTls)
    {
        SendBuffer.SkipUnlessHolds(MatrixCell.Much);
        Played played = await NetworkNamespace.RunAsync(scenario, NamespaceSettings.SmallRange.With("tcp_tw_reuse", "0"));

        string differences = string.Concat(CloseMatrix.For(isTls).Zip(played.Rows).Where(static pair => pair.First != pair.Second).Select(
            static pair => $"\nexpected {pair.First}\nmeasured {pair.Second}"));
        Assert.True(differences.Length == 0, differences);
        Assert.Equal(CloseMatrix.Rows.Count, played.Rows.Count);
        Assert.Equal(CloseMatrix.Rows.Count(row => row.TimeWait == TimeWaitAt.Client), played.KernelOwes);
        Assert.Equal(new PortUse(0, 0, 0, 0, played.KernelOwes), played.LedgerOwes);
    }

    private static async Task<Played> PlayAsync(Wiring wiring)
    {
        using var peer = Peer.Start();
        var dials = new PlannedDials(new PortPolicy());
        var cells = new List<MatrixCell>();
        foreach (MatrixRow row in CloseMatrix.Rows)
        {
            cells.Add(await MatrixCell.PrepareAsync(row, wiring, dials, peer));
        }

        MatrixRow[] measured = await Task.WhenAll(cells.Select(static cell => cell.CloseAsync()));
        return new Played([.. measured], KernelView.CountClientTimeWaits(peer.EndPoint), dials.Ledger.Total());
    }
}
