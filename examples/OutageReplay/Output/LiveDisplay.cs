using OutageReplay.Acts;
using OutageReplay.Network;
using Spectre.Console;

namespace OutageReplay.Output;

/// <summary>For terminals: the acts side by side, as in the closing table, redrawn in place.</summary>
internal static class LiveDisplay
{
    public static Task ShowAsync(IReadOnlyList<ActProgress> acts, Func<Action, Task> play) =>
        AnsiConsole.Live(Draw(acts)).AutoClear(true).StartAsync(
            context => play(() => context.UpdateTarget(Draw(acts))));

    private static Rows Draw(IReadOnlyList<ActProgress> acts)
    {
        Table table = new Table().RoundedBorder().AddColumn("");
        foreach (ActProgress act in acts)
        {
            table.AddColumn(new TableColumn(act.Started && !act.Finished ? $"[bold]{act.Title}[/]" : act.Title).RightAligned().Width(20));
        }

        AddRow("requests/s", act => act.Finished ? "[dim]finished[/]" : $"{act.Rate:F0}");
        AddRow("requests ok", act => $"{act.Latest.Succeeded}");
        AddRow("requests failed", act => act.Latest.Failed > 0 ? $"[red]{act.Latest.Failed}[/]" : "0");
        AddRow($"ports left of {PortWindow.Width}", act => PortsLeft(act.Latest.PortsLeft));
        AddRow("TIME_WAIT on the client's side", act => $"{act.Latest.ClientTimeWait}");
        AddRow("TIME_WAIT on the server's side", act => $"{act.Latest.ServerTimeWait}");
        return new Rows([table, .. acts.Where(act => act.Latest.FirstFailure is not null).Select(Failure)]);

        void AddRow(string label, Func<ActProgress, string> cell) =>
            table.AddRow([new Text(label), .. acts.Select(act => new Markup(act.Started ? cell(act) : ""))]);
    }

    private static Markup Failure(ActProgress act)
    {
        FirstFailure failure = act.Latest.FirstFailure!;
        return new Markup($"[red]{act.Title}: request {failure.Request} was the first to fail: {Markup.Escape(failure.Error)}[/]");
    }

    private static string PortsLeft(int left)
    {
        const int PortsPerCell = 4;
        int cells = (left + PortsPerCell - 1) / PortsPerCell;
        string colour = left == 0 ? "red" : left < PortWindow.Width / 2 ? "yellow" : "green";
        return $"[{colour}]{new string('█', cells)}{new string('░', (PortWindow.Width / PortsPerCell) - cells)} {left,2}[/]";
    }
}
