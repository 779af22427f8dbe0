using Microsoft.Extensions.DependencyModel;
using Xunit;

namespace PooledTcp.OpenTelemetryTests;

/// <summary>What an application takes in with each package, as the dependency file of this test program has it.</summary>
public sealed class ReferenceTests
{
    [Fact]
    public void The_core_brings_no_OpenTelemetry_package() =>
        Assert.DoesNotContain(Closure("PooledTcp"), name => name.StartsWith("OpenTelemetry", StringComparison.OrdinalIgnoreCase));

    [Fact]
    public void The_instrumentation_brings_neither_the_SDK_nor_the_core()
    {
        string[] all = Closure("PooledTcp.OpenTelemetry");

        Assert.Contains("OpenTelemetry.Api", all);
        Assert.DoesNotContain("OpenTelemetry", all);
        Assert.DoesNotContain("PooledTcp", all);
    }

    private static string[] Closure(string root)
    {
        Dictionary<string, RuntimeLibrary> libraries = DependencyContext.Default!.RuntimeLibraries
            .ToDictionary(library => library.Name, StringComparer.OrdinalIgnoreCase);
        HashSet<string> seen = [root];
        Queue<string> open = new(seen);
        while (open.TryDequeue(out string? name))
        {
            // A package that only carries other packages has no entry of its own.
            if (!libraries.TryGetValue(name, out RuntimeLibrary? library))
            {
                Assert.NotEqual(root, name);
                continue;
            }

            foreach (Dependency dependency in library.Dependencies)
            {
                if (seen.Add(dependency.Name))
                {
                    open.Enqueue(dependency.Name);
                }
            }
        }

        return [.. seen.Except([root])];
    }
}
