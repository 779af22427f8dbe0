using System.CommandLine;

namespace PooledTcp.Soak;

/// <summary>The soak; or, started by itself, the server where redis-server is not installed.</summary>
internal static class Program
{
    public const string GarnetVerb = "garnet";

    private const int FaultFound = 1;
    private const int Usage = 64;

    private static Task<int> Main(string[] args) => args is [GarnetVerb, .. string[] server] ? GarnetHost.RunAsync(server) : ParseAsync(args);

    private static Task<int> ParseAsync(string[] args)
    {
        Option<int> seconds = new("--seconds") { Description = "How long the load lasts, its warm-up included; at least 10.", DefaultValueFactory = static _ => 60 };
        Option<FileInfo?> json = new("--json") { Description = "The file to write the figures to." };
        Option<int> callers = new("--callers") { Description = "How many callers call at the same time.", DefaultValueFactory = static _ => 32 };
        Option<int?> seed = new("--seed") { Description = "Of the random choices, as an earlier run printed it." };
        Option<bool> garnet = new("--garnet") { Description = "Against the embedded server even if redis-server is installed." };
        seconds.Validators.Add(static result => AtLeast(result, 10));
        callers.Validators.Add(static result => AtLeast(result, 1));
        var root = new RootCommand("Mixed load, faults, clears and reloads on a pool, for as long as you like. Exit code 0: nobody was lied to, nothing leaked.")
        {
            seconds, json, callers, seed, garnet,
        };
        root.SetAction(async (parsed, cancellationToken) =>
        {
            var plan = new SoakPlan(
                TimeSpan.FromSeconds(parsed.GetValue(seconds)),
                parsed.GetValue(callers),
                parsed.GetValue(seed) ?? Random.Shared.Next(),
                parsed.GetValue(garnet));
            SoakReport report = await SoakRun.RunAsync(plan, cancellationToken);
            if (parsed.GetValue(json) is { } file)
            {
                await report.Figures.WriteAsync(file, cancellationToken);
            }

            await Console.Out.WriteLineAsync(report.ToString());
            return report.Complaints.Count == 0 ? 0 : FaultFound;
        });
        ParseResult arguments = root.Parse(args);
        return arguments.Errors.Count > 0 ? ComplainAsync(arguments) : arguments.InvokeAsync();
    }

    private static async Task<int> ComplainAsync(ParseResult arguments)
    {
        await arguments.InvokeAsync();
        return Usage;
    }

    private static void AtLeast(System.CommandLine.Parsing.OptionResult result, int least)
    {
        if (result.GetValueOrDefault<int>() < least)
        {
            result.AddError($"{result.Option.Name} {result.GetValueOrDefault<int>()}: at least {least}.");
        }
    }
}

/// <param name="Time">How long the load lasts.</param>
/// <param name="Callers">How many call at the same time.</param>
/// <param name="Seed">Of all random choices.</param>
/// <param name="Garnet">Not against redis-server.</param>
internal sealed record SoakPlan(TimeSpan Time, int Callers, int Seed, bool Garnet);
