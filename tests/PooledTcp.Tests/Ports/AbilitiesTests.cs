using PooledTcp.Connections;
using PooledTcp.Ports;
using PooledTcp.Tests.Connections;
using PooledTcp.TestSupport;
using Xunit;

namespace PooledTcp.Tests.Ports;

/// <summary>What this process found, or was told to do without.</summary>
public sealed class AbilitiesTests
{
    [Fact]
    public async Task A_run_without_abilities_really_has_none()
    {
        (System.Net.Sockets.Socket client, System.Net.Sockets.Socket server) = await LoopbackSockets.ConnectAsync();
        using (server)
        using (client)
        {
            ConnectedSocket connected = new(client);
            if (AbilitiesOff.IsSet)
            {
                Assert.Equal(PortAbilities.None, PortAbilities.Detected);
                Assert.False(connected.QuietSupported);
                Assert.True(connected.LeftTimeWait);
            }
            else
            {
                Assert.Equal(OperatingSystem.IsLinux(), connected.QuietSupported);
                Assert.Equal(OperatingSystem.IsLinux(), PortAbilities.Detected.TcpOptions);
            }
        }
    }

    [Fact]
    public void None_is_none()
    {
        PortAbilities none = PortAbilities.None;
        Assert.False(none.LocalPortRange || none.BindAddressNoPort || none.SockDiag || none.ActiveConnections || none.TcpOptions);
        Assert.Equal(3, none.Explain().Count);
    }
}
