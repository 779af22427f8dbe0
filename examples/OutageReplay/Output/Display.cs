using Spectre.Console;

namespace OutageReplay.Output;

/// <summary>Shows the acts while they run: a live table on a terminal, plain lines where output is redirected.</summary>
internal static class Display
{
    /// <param name="acts">In the order in which they are played.</param>
    /// <param name="play">Runs the acts and calls its argument whenever one of them has changed.</param>
    public static Task ShowAsync(IReadOnlyList<ActProgress> acts, Func<Action, Task> play)
    {
        bool isTerminal = !Console.IsOutputRedirected && AnsiConsole.Profile.Capabilities.Ansi;
        return isTerminal ? LiveDisplay.ShowAsync(acts, play) : PlainDisplay.ShowAsync(acts, play);
    }
}
