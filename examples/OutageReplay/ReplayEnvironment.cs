using System.Reflection;
using System.Runtime.InteropServices;
using Garnet;
using OutageReplay.Acts;

namespace OutageReplay;

/// <summary>What the figures were measured on.</summary>
internal sealed record ReplayEnvironment(
    string Os, string Kernel, string Architecture, int Cores, string Dotnet, string Server,
    bool Namespace, string? NoNamespaceReason, string PortRange, int Ports, int Seconds, int RequestsPerSecond)
{
    public static ReplayEnvironment Describe(Stage stage, int seconds) => new(
        RuntimeInformation.OSDescription,
        File.ReadAllText("/proc/sys/kernel/osrelease").Trim(),
        RuntimeInformation.ProcessArchitecture.ToString(),
        Environment.ProcessorCount,
        RuntimeInformation.FrameworkDescription,
        $"Microsoft.Garnet {GarnetVersion()}",
        stage.InNamespace,
        stage.Obstacle,
        stage.Window.ToString(),
        Network.PortWindow.Width,
        seconds,
        PacedLoad.RequestsPerSecond);

    private static string GarnetVersion()
    {
        string version = typeof(GarnetServer).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion;
        return version.Split('+')[0];
    }
}
