using Microsoft.Extensions.Time.Testing;
using PooledTcp.Ports;
using Xunit;

namespace PooledTcp.Tests.Ports;

public sealed class KernelPortSettingsTests : IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("pooledtcp-");
    private readonly FakeTimeProvider _time = new();

    public void Dispose() => _directory.Delete(recursive: true);

    [Fact]
    public void Everything_the_kernel_says_is_read()
    {
        Write("ip_local_port_range", "32768\t60999\n");
        Write("ip_local_reserved_ports", "8080,40000-40009,50000\n");
        Write("tcp_tw_reuse", "2\n");
        Write("tcp_tw_reuse_delay", "1500\n");
        Write("tcp_timestamps", "1\n");
        Write("tcp_fin_timeout", "60\n");
        Write("tcp_max_tw_buckets", "131072\n");

        KernelPortSettings settings = Reader().Current;

        Assert.Equal(new PortRange(32768, 60999), settings.Range);
        Assert.Equal([new PortRange(8080, 8080), new PortRange(40000, 40009), new PortRange(50000, 50000)], settings.Reserved);
        Assert.Equal((2, 1, 131072), (settings.TimeWaitReuse, settings.Timestamps, settings.MaxTimeWaits));
        Assert.Equal(TimeSpan.FromMilliseconds(1500), settings.TimeWaitReuseDelay);
        Assert.Equal(TimeSpan.FromSeconds(60), settings.FinTimeout);
        Assert.Equal(TimeSpan.FromSeconds(65.2), settings.TimeWaitHold);

        // 28,232 without the reserved 11 that lie inside.
        Assert.Equal(28221, settings.CountUsable(settings.AssumedRange));
        string all = string.Join('\n', settings.Explain());
        Assert.Contains("Ephemeral ports 32768-60999: 28,221 usable", all, StringComparison.Ordinal);
        Assert.Contains("at most 470 such closes per second", all, StringComparison.Ordinal);
        Assert.Contains("8080,40000-40009,50000", all, StringComparison.Ordinal);
        Assert.Contains("tcp_tw_reuse = 2: a port in TIME_WAIT is taken over after 1500 ms, but only between loopback addresses", all, StringComparison.Ordinal);
        Assert.Contains("tcp_fin_timeout = 60", all, StringComparison.Ordinal);
        Assert.Contains("tcp_max_tw_buckets = 131,072", all, StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_missing_or_malformed_is_unknown()
    {
        Write("ip_local_port_range", "many\n");
        Write("tcp_tw_reuse", "\n");

        KernelPortSettings settings = Reader().Current;

        Assert.Null(settings.Range);
        Assert.Null(settings.TimeWaitReuse);
        Assert.Null(settings.FinTimeout);
        Assert.Empty(settings.Reserved);
        Assert.Equal(new PortRange(49152, 65535), settings.AssumedRange);
        Assert.Contains("Ephemeral ports: unknown; 49152-65535 assumed.", settings.Explain());
    }

    [Fact]
    public void It_is_read_again_after_30_seconds_and_not_before()
    {
        Write("ip_local_port_range", "40000 40063\n");
        KernelPortSettingsReader reader = Reader();
        Assert.Equal(64, reader.Current.AssumedRange.Count);

        Write("ip_local_port_range", "40000 40127\n");
        _time.Advance(TimeSpan.FromSeconds(29));
        Assert.Equal(64, reader.Current.AssumedRange.Count);

        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(128, reader.Current.AssumedRange.Count);
    }

    [Theory]
    [InlineData(0, 1, "tcp_tw_reuse = 0: a port in TIME_WAIT is not given to a new connection.")]
    [InlineData(1, 1, "tcp_tw_reuse = 1: a new connection may take over a port in TIME_WAIT after 1000 ms.")]
    [InlineData(1, 0, "tcp_tw_reuse = 1: a new connection may take over a port in TIME_WAIT after 1000 ms. Without effect: tcp_timestamps = 0.")]
    public void Reuse_is_explained_with_what_it_depends_on(int reuse, int timestamps, string sentence) => Assert.Contains(
        sentence, new KernelPortSettings { Origin = "a test", TimeWaitReuse = reuse, Timestamps = timestamps }.Explain());

    [Fact]
    public void Other_systems_have_their_documented_defaults()
    {
        Assert.Equal(16384, KernelPortSettings.Windows.CountUsable(KernelPortSettings.Windows.AssumedRange));
        Assert.Equal(TimeSpan.FromSeconds(35.2), KernelPortSettings.MacOS.TimeWaitHold);
        Assert.Equal(TimeSpan.FromSeconds(65.2), KernelPortSettings.Unknown.TimeWaitHold);
        Assert.Contains("not read from this host", KernelPortSettings.Windows.Explain()[0], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("40000-40063", "40000-40063", null)]
    [InlineData("60000-65000", "60000-60999", null)]
    [InlineData("1000-2000", "32768-60999", "1000-2000 lies outside the system's ephemeral ports 32768-60999")]
    [InlineData("50000-50009", "50000-50009", "50000-50009 holds only reserved ports")]
    [InlineData(null, "32768-60999", null)]
    public void A_slice_is_clamped_and_one_the_kernel_would_ignore_is_a_fault(string? slice, string confined, string? fault)
    {
        var kernel = new KernelPortSettings { Origin = "a test", Range = new PortRange(32768, 60999), Reserved = [new PortRange(50000, 50010)] };
        var policy = new PortPolicy { Range = slice is not null && PortRange.TryParse(slice, out PortRange range) ? range : null };

        Assert.Equal(confined, kernel.Confine(policy.Range).ToString());
        string? found = policy.FindFault(kernel);
        Assert.Equal(fault is null, found is null);
        Assert.StartsWith(fault ?? "", found ?? "", StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(64, null, 0.25, 16)]
    [InlineData(64, 40, 0.25, 10)]
    [InlineData(64, 1000, 0.25, 16)]
    [InlineData(63, null, 0.25, 15)]
    [InlineData(64, null, 0, 0)]
    [InlineData(64, null, 1, 64)]
    public void The_share_is_of_the_usable_ports_or_the_budget_and_never_rounded_up(int usable, int? budget, double share, int tokens) =>
        Assert.Equal(tokens, new PortPolicy { Budget = budget, TimeWaitShare = share }.TokensOf(usable));

    [Theory]
    [InlineData("sockets: used 16\nTCP: inuse 1 orphan 0 tw 1167 alloc 1 mem 0\nUDP: inuse 0 mem 0\n", 1167)]
    [InlineData("sockets: used 16\nTCP: inuse 1 orphan 0 tw 0 alloc 1 mem 0\n", 0)]
    [InlineData("sockets: used 16\nUDP: inuse 0 tw 5 mem 0\n", null)]
    [InlineData("", null)]
    public void The_total_of_time_waits_is_found_in_sockstat(string text, int? count) =>
        Assert.Equal(count, SockStat.ParseTimeWaits(System.Text.Encoding.ASCII.GetBytes(text)));

    private KernelPortSettingsReader Reader() => new(_time, _directory.FullName);

    private void Write(string file, string text) => File.WriteAllText(Path.Combine(_directory.FullName, file), text);
}
