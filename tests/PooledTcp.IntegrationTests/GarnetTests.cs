using PooledTcp.IntegrationTests.Servers;
using Xunit;

namespace PooledTcp.IntegrationTests;

public sealed class GarnetTests(GarnetEmbedded server) : RespBattery(server), IClassFixture<GarnetEmbedded>;

public sealed class GarnetOverTlsTests(GarnetTls server) : RespBattery(server), IClassFixture<GarnetTls>;

/// <summary>The same against the real thing, where it is installed.</summary>
public sealed class RedisTests(RedisProcess server) : RespBattery(server), IClassFixture<RedisProcess>
{
    protected override RespServer Server
    {
        get
        {
            RedisProcess.SkipIfMissing();
            return base.Server;
        }
    }
}
