using OutageReplay.Network;

namespace OutageReplay.Output;

/// <summary>For logs and pipes: one line a second, and one when the first request fails.</summary>
internal static class PlainDisplay
{
    private static readonly TimeSpan LinePeriod = TimeSpan.FromSeconds(1);

    public static async Task ShowAsync(IReadOnlyList<ActProgress> acts, Func<Action, Task> play)
    {
        var cursors = acts.Select(act => new Cursor(act)).ToArray();
        await play(() =>
        {
            foreach (Cursor cursor in cursors)
            {
                cursor.Catchup();
            }
        });
    }

    /// <summary>How much of one act has been written.</summary>
    private sealed class Cursor(ActProgress act)
    {
        private TimeSpan _nextLine = LinePeriod;
        private bool _failureShown;
        private bool _endShown;

        public void Catchup()
        {
            if (act.Latest.FirstFailure is { } failure && !_failureShown)
            {
                _failureShown = true;
                Console.WriteLine($"{act.Title}: request {failure.Request} is the first to fail: {failure.Error}");
            }

            bool lineDue = act.Latest.Elapsed >= _nextLine;
            bool endDue = act.Finished && !_endShown;
            if (lineDue || endDue)
            {
                _nextLine = LinePeriod * (Math.Floor(act.Latest.Elapsed / LinePeriod) + 1);
                _endShown = act.Finished;
                Console.WriteLine(Describe());
            }
        }

        private string Describe()
        {
            string state = act.Finished ? "finished" : $"{act.Latest.Elapsed.TotalSeconds:F1} s, {act.Rate:F0} requests/s";
            return $"{act.Title}: {state}, {act.Latest.Succeeded} ok, {act.Latest.Failed} failed, "
                + $"{act.Latest.PortsLeft} of {PortWindow.Width} ports left, "
                + $"TIME_WAIT client {act.Latest.ClientTimeWait} server {act.Latest.ServerTimeWait}";
        }
    }
}
