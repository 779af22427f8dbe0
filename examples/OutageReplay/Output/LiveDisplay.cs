using OutageReplay.Network;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace OutageReplay.Output;

/// <summary>For terminals: one row per act, redrawn in place.</summary>
internal static class LiveDisplay
{
    public static Task ShowAsync(IReadOnlyList<ActProgress> acts, Func<Action, Task> play) =>
        AnsiConsole.Live(Draw(acts)).AutoClear(true).StartAsync(
            context => play(() => context.UpdateTarget(Draw(acts))));

    private static Rows Draw(IReadOnlyList<ActProgress> acts)
    {
        Table table = new Table()
            .RoundedBorder()
            .AddColumn("act")
            .AddColumn(new TableColumn("requests/s").RightAligned())
            .AddColumn(new TableColumn("ok").RightAligned())
            .AddColumn(new TableColumn("failed").RightAligned())
            .AddColumn($"ports left of {PortWindow.Width}")
            .AddColumn(new TableColumn("TIME_WAIT\nclient").RightAligned())
            .AddColumn(new TableColumn("TIME_WAIT\nserver").RightAligned());
        foreach (ActProgress act in acts)
        {
            table.AddRow(Row(act));
        }

        IEnumerable<Markup> failures = acts
            .Where(act => act.Latest.FirstFailure is not null)
            .Select(act => new Markup(
                $"[red]{act.Title}: request {act.Latest.FirstFailure!.Request} was the first to fail: {Markup.Escape(act.Latest.FirstFailure.Error)}[/]"));
        return new Rows([table, .. failures]);
    }

    private static IRenderable[] Row(ActProgress act)
    {
        if (!act.Started)
        {
            return [new Markup($"[dim]{act.Title}[/]"), .. Enumerable.Repeat(new Text(""), 6)];
        }

        string failed = act.Latest.Failed > 0 ? $"[red]{act.Latest.Failed}[/]" : "0";
        string title = act.Finished ? act.Title : $"[bold]{act.Title}[/]";
        return
        [
            new Markup(title),
            new Markup(act.Finished ? "[dim]finished[/]" : $"{act.Rate:F0}"),
            new Markup($"{act.Latest.Succeeded}"),
            new Markup(failed),
            PortsLeft(act.Latest.PortsLeft),
            new Markup($"{act.Latest.ClientTimeWait}"),
            new Markup($"{act.Latest.ServerTimeWait}"),
        ];
    }

    private static Markup PortsLeft(int left)
    {
        const int PortsPerCell = 4;
        int cells = (left + PortsPerCell - 1) / PortsPerCell;
        string colour = left == 0 ? "red" : left < PortWindow.Width / 2 ? "yellow" : "green";
        string bar = new string('█', cells) + new string('░', (PortWindow.Width / PortsPerCell) - cells);
        return new Markup($"[{colour}]{bar} {left,2}[/]");
    }
}
