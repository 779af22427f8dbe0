using System.Reflection;

namespace PooledTcp.StatsPageTests.Support;

/// <summary>axe-core, out of the package that brings it.</summary>
internal static class Axe
{
    public static string Script { get; } = Read();

    private static string Read()
    {
        Assembly assembly = typeof(Deque.AxeCore.Commons.AxeResult).Assembly;
        using Stream stream = assembly.GetManifestResourceStream(assembly.GetManifestResourceNames().Single(static name => name.EndsWith("axe.min.js", StringComparison.Ordinal)))!;
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }
}
