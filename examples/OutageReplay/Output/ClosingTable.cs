using System.Globalization;
using OutageReplay.Acts;
using Spectre.Console;

namespace OutageReplay.Output;

/// <summary>The figures of both acts side by side.</summary>
internal static class ClosingTable
{
    public static void Write(Report report)
    {
        Table table = new Table()
            .RoundedBorder()
            .AddColumn("")
            .AddColumn(new TableColumn("connect per request").RightAligned())
            .AddColumn(new TableColumn("PooledTcpClient").RightAligned());
        AddRow("requests ok", figures => Number(figures.Requests - figures.Failed));
        AddRow("requests failed", figures => Number(figures.Failed));
        AddRow("first failure at request", figures => figures.FirstFailureAt is int request ? Number(request) : "none");
        AddRow("connections opened", figures => Number(figures.Connects));
        AddRow("p50 of successful requests", figures => Microseconds(figures.P50Us));
        AddRow("p99 of successful requests", figures => Microseconds(figures.P99Us));
        AddRow("TIME_WAIT on the client's side", figures => Number(figures.ClientTimeWait));
        AddRow("TIME_WAIT on the server's side", figures => Number(figures.ServerTimeWait));
        AnsiConsole.Write(table);

        void AddRow(string label, Func<ActFigures, string> figure) =>
            table.AddRow(label, figure(report.Naive), figure(report.Pooled));
    }

    private static string Number(long value) => value.ToString(CultureInfo.InvariantCulture);

    private static string Microseconds(double? value) => value is double us ? $"{us:F0} us" : "-";
}
