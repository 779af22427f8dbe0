using PooledTcp.KernelTests.Harness;
using PooledTcp.LoadTest;
using PooledTcp.LoadTest.Scenarios;
using PooledTcp.LoadTest.Servers;

// The first four are this program again, as its own child.
return args switch
{
    [ServerHost.Verb, .. string[] server] => await ServerHost.RunAsync(server),
    [IdleHost.Verb, .. string[] plan] => await IdleHost.RunAsync(plan),
    [FreshProcess.Verb, .. string[] measurement] => await FreshProcess.RunAsync(measurement),
    [ScenarioChild.Verb, .. string[] scenario] => await ScenarioChild.PlayAsync(scenario),
    _ => await CommandLine.RunAsync(args),
};
