using System.Net;
using System.Reflection;
using System.Text.Json;

namespace PooledTcp.KernelTests.Harness;

/// <summary>The child's side: furnishes the namespace it was started in, plays one scenario, writes its result as JSON.</summary>
internal static class ScenarioChild
{
    public const string Verb = "--scenario";

    /// <summary>Results may be tuples, whose parts are fields.</summary>
    public static JsonSerializerOptions Json { get; } = new() { IncludeFields = true };

    /// <param name="arguments">Type, method, settings as JSON.</param>
    public static async Task<int> PlayAsync(string[] arguments)
    {
        // The parent holds the other end of our input; the kernel closes it however the parent dies.
        new Thread(EndWithParent) { IsBackground = true }.Start();
        try
        {
            Furnish(JsonSerializer.Deserialize<NamespaceSettings>(arguments[2])!);
            MethodInfo scenario = Type.GetType(arguments[0], throwOnError: true)!
                .GetMethod(arguments[1], BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic, [])!;
            var task = (Task)scenario.Invoke(null, null)!;
            await task;
            object? result = task.GetType().GetProperty(nameof(Task<object>.Result))!.GetValue(task);
            Console.WriteLine(JsonSerializer.Serialize(result, scenario.ReturnType.GetGenericArguments()[0], Json));
            return 0;
        }
        catch (Exception e)
        {
            await Console.Error.WriteLineAsync(e.ToString());
            return 1;
        }
    }

    /// <summary>Does nothing; that it could be played shows that namespaces work here.</summary>
    public static Task<bool> Nothing() => Task.FromResult(true);

    private static void Furnish(NamespaceSettings settings)
    {
        LoopbackInterface.BringUp();
        for (int i = 0; i < settings.Addresses.Count; i++)
        {
            LoopbackInterface.AddAddress($"lo:{i + 1}", IPAddress.Parse(settings.Addresses[i]));
        }

        foreach ((string file, string value) in settings.Sysctls)
        {
            File.WriteAllText(Path.Combine("/proc/sys/net/ipv4", file), value + "\n");
        }
    }

    private static void EndWithParent()
    {
        using Stream input = Console.OpenStandardInput();
        while (input.ReadByte() >= 0)
        {
        }

        Environment.Exit(2);
    }
}
