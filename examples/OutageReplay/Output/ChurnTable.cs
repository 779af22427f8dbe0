using System.Globalization;
using OutageReplay.Acts;
using Spectre.Console;

namespace OutageReplay.Output;

/// <summary>The figures of the third act: a line for each policy.</summary>
internal static class ChurnTable
{
    public static void Write(IReadOnlyList<ChurnFigures> churn)
    {
        Table table = new Table().RoundedBorder().AddColumn(new TableColumn("each closed after use").NoWrap());
        foreach (string column in (string[])["ok", "failed", "TIME_WAIT client", "TIME_WAIT server", "p99"])
        {
            table.AddColumn(new TableColumn(column).RightAligned());
        }

        foreach (ChurnFigures figures in churn)
        {
            table.AddRow(
                figures.Policy.Title(), Number(figures.Ok), Number(figures.Failed),
                Number(figures.ClientTimeWait), Number(figures.ServerTimeWait), Microseconds(figures));
        }

        AnsiConsole.Write(table);
    }

    /// <summary>For the display while the act runs.</summary>
    public static string Describe(ChurnFigures figures) => string.Create(
        CultureInfo.InvariantCulture,
        $"{figures.Policy.Title()}: {figures.Ok} ok, {figures.Failed} failed, TIME_WAIT client {figures.ClientTimeWait} server {figures.ServerTimeWait}");

    private static string Number(int value) => value.ToString(CultureInfo.InvariantCulture);

    private static string Microseconds(ChurnFigures figures) => figures.P99Us is double us ? $"{us:F0} us" : "-";
}
