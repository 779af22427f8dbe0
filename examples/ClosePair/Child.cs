using System.ComponentModel;
using System.Diagnostics;

namespace ClosePair;

/// <summary>This program again, with other arguments. A child ends when its standard input does.</summary>
internal static class Child
{
    /// <summary>In a namespace of its own: own ports, own address, and nothing to clean up. Elsewhere on 127.0.0.1.</summary>
    public static async Task<int> RunStageAsync()
    {
        try
        {
            using Process probe = Start(["unshare", "-Urn", "--", "true"]);
            await probe.WaitForExitAsync();
            if (probe.ExitCode == 0)
            {
                using Process stage = Start(["unshare", "-Urn", "--", .. Self(Program.StageVerb, Stage.Namespace)], inheritOutput: true);
                await stage.WaitForExitAsync();
                return stage.ExitCode;
            }
        }
        catch (Win32Exception)
        {
            // No unshare on this machine.
        }

        return await Stage.RunAsync(inNamespace: false);
    }

    public static Process Start(IReadOnlyList<string> command, bool inheritOutput = false) =>
        Process.Start(new ProcessStartInfo(command[0], command.Skip(1))
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = !inheritOutput,
        })!;

    /// <summary>Whether it was started by its own name or by <c>dotnet ClosePair.dll</c>.</summary>
    public static IReadOnlyList<string> Self(params string[] arguments)
    {
        string self = Environment.ProcessPath!;
        return Path.GetFileNameWithoutExtension(self) == "dotnet"
            ? [self, typeof(Program).Assembly.Location, .. arguments]
            : [self, .. arguments];
    }
}
