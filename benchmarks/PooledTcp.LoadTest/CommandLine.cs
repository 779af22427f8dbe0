using System.CommandLine;
using PooledTcp.LoadTest.Reporting;
using PooledTcp.LoadTest.Scenarios;

namespace PooledTcp.LoadTest;

/// <summary>One command for each scenario, and the gate.</summary>
internal static class CommandLine
{
    private const int TargetMissed = 1;
    private const int Usage = 64;

    private static readonly Option<FileInfo?> Json = new("--json") { Description = "The file to write the figures to." };
    private static readonly Option<bool> Smoke = new("--smoke") { Description = "Seconds instead of minutes, to see that it works. The figures mean nothing, and neither does the exit code." };

    public static async Task<int> RunAsync(string[] args)
    {
        RootCommand root = new("How fast PooledTcp is, beside its peers and the floor. Exit code 0: every target was reached; 1: one was not, or could not be measured.");
        foreach (Scenario scenario in Scenario.All)
        {
            root.Add(CommandOf(scenario));
        }

        root.Add(GateCommand());
        root.Add(CheckCommand());
        ParseResult parsed = root.Parse(args);
        int exitCode = await parsed.InvokeAsync();
        return parsed.Errors.Count > 0 ? Usage : exitCode;
    }

    private static Command CommandOf(Scenario scenario)
    {
        Option<bool> brief = new("--short") { Description = "As the gate does it." };
        string targets = scenario.Targets.Length > 0 ? $" Decides {scenario.Targets}." : "";
        Command command = new(scenario.Name, scenario.Description + targets) { Json, brief, Smoke };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            Effort effort = parsed.GetValue(Smoke) ? Effort.Smoke : parsed.GetValue(brief) ? Effort.Short : Effort.Full;
            Report report = new(Console.Out, effort);
            report.Note(ReportFile.DescribeMachine());
            await scenario.RunAsync(report, effort, cancellationToken);
            report.TellDisturbed();
            if (parsed.GetValue(Json) is { } file)
            {
                await ReportFile.WriteAllAsync(file, scenario.Name, effort, report);
            }

            return ExitCode(report, effort);
        });
        return command;
    }

    private static Command GateCommand()
    {
        Option<string[]> only = new("--only") { Description = "These scenarios alone.", AllowMultipleArgumentsPerToken = true };
        only.AcceptOnlyFromAmong([.. Scenario.All.Where(static s => s.Targets.Length > 0).Select(static s => s.Name)]);
        Command command = new("gate", "A short form of every target, T1 to T10, in under ten minutes.") { Json, only, Smoke };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            Effort effort = parsed.GetValue(Smoke) ? Effort.Smoke : Effort.Short;
            Report report = new(Console.Out, effort);
            report.Note(ReportFile.DescribeMachine());
            await Gate.RunAsync(report, effort, parsed.GetValue(only) ?? [], cancellationToken);
            if (parsed.GetValue(Json) is { } file)
            {
                await ReportFile.WriteTargetsAsync(file, report);
            }

            return ExitCode(report, effort);
        });
        return command;
    }

    private static Command CheckCommand()
    {
        Command command = new("check", "What .ci/run asks: the targets that are counted and not timed, and ratios with much leeway. Holds on a busy machine.") { Json };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            Report report = new(Console.Out, Effort.Check, Asked.ByCheck);
            report.Note(ReportFile.DescribeMachine());
            await Gate.RunAsync(report, Effort.Check, [], cancellationToken);
            if (parsed.GetValue(Json) is { } file)
            {
                await ReportFile.WriteTargetsAsync(file, report);
            }

            return ExitCode(report, Effort.Check);
        });
        return command;
    }

    private static int ExitCode(Report report, Effort effort) => report.Passed || effort == Effort.Smoke ? 0 : TargetMissed;
}
