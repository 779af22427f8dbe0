using System.Runtime.CompilerServices;

namespace PooledTcp.Tests.Fakes;

/// <summary>
/// Tests that bring threads together at a barrier block workers on purpose, and the thread pool adds new ones at one or two
/// a second: on two cores, tests that run beside them would time out for want of a thread, not for a defect.
/// </summary>
internal static class ThreadPoolSetup
{
    [ModuleInitializer]
    internal static void EnoughThreads() => ThreadPool.SetMinThreads(64, 64);
}
