using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;

namespace PooledTcp.KernelTests.Harness;

/// <summary>
/// A server that vanished, for every connection to it and every dial: nft drops what goes to its port and what comes from it,
/// in the namespace of the scenario. Needs nft and a kernel with nf_tables.
/// </summary>
internal static class PacketDrop
{
    private const string Table = "inet pooled_tcp_test";

    /// <summary>Scenario: why nothing can be dropped here; null where it can.</summary>
    public static async Task<string?> FindObstacleAsync()
    {
        try
        {
            await StartAsync(1);
            await StopAsync();
            return null;
        }
        catch (Exception e) when (e is Win32Exception or InvalidOperationException)
        {
            return e.Message;
        }
    }

    public static Task StartAsync(int port) => NftAsync(string.Create(CultureInfo.InvariantCulture, $$"""
        add table {{Table}}
        add chain {{Table}} arriving { type filter hook input priority 0; }
        add rule {{Table}} arriving tcp dport {{port}} drop
        add rule {{Table}} arriving tcp sport {{port}} drop
        """));

    public static Task StopAsync() => NftAsync($"delete table {Table}");

    private static async Task NftAsync(string commands)
    {
        using Process nft = Process.Start(new ProcessStartInfo("nft", ["-f", "-"]) { RedirectStandardInput = true, RedirectStandardError = true })!;
        await nft.StandardInput.WriteLineAsync(commands);
        nft.StandardInput.Close();
        string complaint = await nft.StandardError.ReadToEndAsync();
        await nft.WaitForExitAsync();
        if (nft.ExitCode != 0)
        {
            throw new InvalidOperationException($"nft: {complaint.Trim()}");
        }
    }
}
