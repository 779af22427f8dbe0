using System.Net.Sockets;
using System.Security.Authentication;
using PooledTcp.Shutdown;
using PooledTcp.Telemetry;
using Xunit;

namespace PooledTcp.Tests.Telemetry;

/// <summary>Values of attributes are an interface: dashboards and alerts name them.</summary>
public sealed class NameTests
{
    [Fact]
    public void Reasons_of_closes() => Assert.Equal(
        [
            "abandoned", "address_removed", "cleared", "faulted", "health_check_failed", "idle_timeout", "leaked", "max_lifetime", "max_uses",
            "options_changed", "over_capacity", "peer_closed", "peer_idle_limit", "pool_shutdown", "returned_dirty", "shared_cap", "vanished",
        ],
        Enum.GetValues<CloseReason>().Select(CloseReasons.Name).Order(StringComparer.Ordinal));

    [Fact]
    public void Methods_of_closes() => Assert.Equal(
        ["abort", "goodbye", "graceful", "passive", "quiet"],
        Enum.GetValues<CloseMethod>().Select(CloseMethods.Name).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal));

    [Theory]
    [InlineData(SocketError.IOPending, "io_pending")]
    [InlineData(SocketError.ProtocolNotSupported, "protocol_not_supported")]
    [InlineData(SocketError.NetworkDown, "network_down")]
    public void Socket_errors_by_name(SocketError code, string expected) => Assert.Equal(expected, ErrorTypes.Of(new SocketException((int)code)));

    [Fact]
    public void Every_socket_error_has_one() => Assert.All(
        Enum.GetValues<SocketError>(),
        static code => Assert.Matches("^[a-z]{2,}(_[a-z]{2,})*$", ErrorTypes.Of(new SocketException((int)code))));

    [Fact]
    public void What_broke_under_a_stream_is_the_sockets_error() => Assert.Equal(
        "connection_reset", ErrorTypes.Of(new IOException("outer", new IOException("inner", new SocketException((int)SocketError.ConnectionReset)))));

    [Fact]
    public void Everything_else_by_its_type()
    {
        Assert.Equal("System.Security.Authentication.AuthenticationException", ErrorTypes.Of(new AuthenticationException("no", new IOException())));
        Assert.Equal("System.TimeoutException", ErrorTypes.Of(new TimeoutException()));
        Assert.Equal("System.IO.IOException", ErrorTypes.Of(new IOException("closed as soon as it was open")));
    }
}
