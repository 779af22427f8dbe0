using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;

namespace OutageReplay;

internal sealed record ReplayArguments(int Seconds, string? JsonFile, bool NoNamespace)
{
    private const int DefaultSeconds = 15;

    // Below two seconds in total the first act may end before request 65.
    private const int MinSeconds = 2;
    private const int MaxSeconds = 3600;

    /// <summary>Null when there is nothing to replay: help was asked for, or an argument was wrong and has been named on stderr.</summary>
    public static ReplayArguments? Parse(string[] args, out int exitCode)
    {
        var seconds = new Option<int>("--seconds")
        {
            Description = $"Length of the first two acts together, {MinSeconds} to {MaxSeconds}.",
            HelpName = "N",
            CustomParser = ParseSeconds,
            DefaultValueFactory = _ => DefaultSeconds,
        };
        var json = new Option<string?>("--json")
        {
            Description = "Also write the figures to this file.",
            HelpName = "FILE",
        };
        json.Validators.Add(ValidateJsonFile);
        var noNamespace = new Option<bool>("--no-namespace")
        {
            Description = "Play on 127.0.0.1 with IP_LOCAL_PORT_RANGE, as on machines without user namespaces.",
        };
        var command = new RootCommand(
            "Replays an outage by port exhaustion against a real RESP server, then its cure by PooledTcpClient, then connections that must be closed under each closing policy.")
        {
            seconds, json, noNamespace,
        };

        ParseResult result = command.Parse(args);
        if (result.Errors is [ParseError error, ..])
        {
            Console.Error.WriteLine(error.Message);
            exitCode = ExitCodes.BadArguments;
            return null;
        }

        if (result.Action is not null)
        {
            exitCode = result.Invoke();
            return null;
        }

        exitCode = ExitCodes.Proved;
        return new ReplayArguments(result.GetValue(seconds), result.GetValue(json), result.GetValue(noNamespace));
    }

    private static int ParseSeconds(ArgumentResult result)
    {
        string text = result.Tokens[0].Value;
        if (!int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int value)
            || value is < MinSeconds or > MaxSeconds)
        {
            result.AddError($"--seconds must be a whole number from {MinSeconds} to {MaxSeconds}, not '{text}'.");
        }

        return value;
    }

    private static void ValidateJsonFile(OptionResult result)
    {
        if (result.Tokens is not [Token token])
        {
            return;
        }

        // Found out now, not after the replay.
        string file = token.Value;
        if (file.Length == 0 || Directory.Exists(file) || !Directory.Exists(Path.GetDirectoryName(Path.GetFullPath(file))))
        {
            result.AddError($"--json must name a file in an existing directory, not '{file}'.");
        }
    }
}
