namespace PooledTcp.Ports;

/// <summary>Everything about local ports that one client shares between its pools.</summary>
internal sealed class LocalPorts
{
    public LocalPorts(TimeProvider time, PortAbilities? abilities = null)
    {
        abilities ??= PortAbilities.Detected;
        Kernel = new KernelPortSettingsReader(time);
        Ledger = new PortLedger(time, Kernel.Current.TimeWaitHold);
        Planner = new PortPlanner(Kernel, Ledger, abilities);
        Watch = new PortWatch(Ledger, new PortCensusTaker(Ledger, Kernel, abilities), time);
    }

    public KernelPortSettingsReader Kernel { get; }

    public PortLedger Ledger { get; }

    public PortPlanner Planner { get; }

    public PortWatch Watch { get; }
}
