using System.Net;
using System.Net.Sockets;
using PooledTcp.Ports;
using Xunit;

namespace PooledTcp.Tests.Ports;

/// <summary>The bytes of a request and the reading of errors. The kernel's answers are tested in PooledTcp.KernelTests.</summary>
public sealed class SockDiagTests
{
    private static readonly AddressKey Four = AddressKey.From(IPAddress.Parse("10.1.2.3"));
    private static readonly AddressKey Six = AddressKey.From(IPAddress.Parse("2001:db8::7"));

    [Fact]
    public void Two_conditions_are_chained_and_a_no_leaves_the_program()
    {
        var buffer = new byte[SockDiagRequest.MaxLength];

        int length = SockDiagRequest.WriteDump(
            buffer, AddressFamily.InterNetwork, TcpStates.TimeWait, new SockDiagFilter { Local = Four, Remote = Four, RemotePort = 0x1234 });

        Assert.Equal(16 + 56 + 4 + 16 + 16, length);
        Assert.Equal(length, BitConverter.ToInt32(buffer));
        Assert.Equal([0x12, 0x34], buffer[26..28]);
        Assert.Equal(1U << 6, BitConverter.ToUInt32(buffer, 20));

        // Local condition: go on after 16 bytes, or 4 past the 32 that are left. Remote: after 16, or 4 past 16.
        Assert.Equal([7, 16, 36, 0], buffer[76..80]);
        Assert.Equal([8, 16, 20, 0], buffer[92..96]);
        Assert.Equal([10, 1, 2, 3], buffer[104..108]);
    }

    [Fact]
    public void The_longest_request_fits()
    {
        var buffer = new byte[SockDiagRequest.MaxLength];

        int length = SockDiagRequest.WriteDump(buffer, AddressFamily.InterNetworkV6, TcpStates.All, new SockDiagFilter { Local = Six, Remote = Six });

        Assert.Equal(SockDiagRequest.MaxLength, length);
    }

    [Theory]
    [InlineData(1, SockDiagStatus.Denied)]
    [InlineData(13, SockDiagStatus.Denied)]
    [InlineData(2, SockDiagStatus.NotSupported)]
    [InlineData(93, SockDiagStatus.NotSupported)]
    [InlineData(97, SockDiagStatus.NotSupported)]
    [InlineData(105, SockDiagStatus.Failed)]
    [InlineData(0, SockDiagStatus.Ok)]
    public void What_a_sandbox_answers_has_a_name(int errno, object status)
    {
        SockDiagResult result = SockDiagResult.FromErrno(errno);

        Assert.Equal(status, result.Status);
        Assert.Equal(errno == 0 ? "Ok" : $"{status} (errno {errno})", result.ToString());
    }

    [Fact]
    public void Counts_by_state_add_up_and_read_well()
    {
        var counts = default(TcpStateCounts);
        Assert.Equal("none", counts.ToString());
        counts.Add(TcpStates.Established);
        counts.Add(TcpStates.TimeWait);
        counts.Add(TcpStates.TimeWait);
        counts.Add(TcpStates.None);

        Assert.Equal(3, counts[TcpStates.Connections]);
        Assert.Equal(2, counts[TcpStates.TimeWait]);
        Assert.Equal("1 Established, 2 TimeWait", counts.ToString());
    }
}
