using System.Runtime.CompilerServices;
using PooledTcp.Ports;
using Xunit;

namespace PooledTcp.TestSupport;

/// <summary>
/// The whole suite once more as on a system that can do nothing about ports and closes: <c>.ci/run abilities-off</c> sets the
/// variable, and every socket of the process is an ordinary one.
/// </summary>
internal static class AbilitiesOff
{
    private const string Variable = "POOLEDTCP_TESTS_ABILITIES";

    public static bool IsSet { get; } = string.Equals(Environment.GetEnvironmentVariable(Variable), "off", StringComparison.Ordinal);

    /// <summary>For a test that needs one of the abilities to see what it is about.</summary>
    public static void SkipIf(bool needsOne) => Assert.SkipWhen(IsSet && needsOne, "needs an ability of the platform, which this run does without");

    [ModuleInitializer]
    internal static void Apply()
    {
        if (IsSet)
        {
            PortAbilities.Detected = PortAbilities.None;
        }
    }
}
