using System.CommandLine;
using System.CommandLine.Parsing;

namespace CacheService.Load;

/// <summary><c>load URL</c>: callers that never rest, against a running service. Prints what became of their requests.</summary>
internal static class LoadCommand
{
    public static Task<int> RunAsync(string[] args)
    {
        var url = new Argument<Uri>("url") { Description = "Where the service listens, like http://127.0.0.1:5080.", CustomParser = ParseUrl };
        var callers = new Option<int>("--callers") { Description = "How many ask at one time, 1 to 10000.", DefaultValueFactory = _ => 4 };
        var seconds = new Option<int>("--seconds") { Description = "For how long, 1 to 3600.", DefaultValueFactory = _ => 10 };
        var valueBytes = new Option<int>("--value-bytes") { Description = "Size of the values, 1 to 1000000.", DefaultValueFactory = _ => 100 };
        var pause = new Option<int>("--pause") { Description = "Milliseconds between two requests of a caller, 0 to 60000.", DefaultValueFactory = _ => 0 };
        Limit(callers, 1, 10_000);
        Limit(seconds, 1, 3600);
        Limit(valueBytes, 1, 1_000_000);
        Limit(pause, 0, 60_000);

        var command = new RootCommand("Puts load on a running CacheService.") { url, callers, seconds, valueBytes, pause };
        command.SetAction(async (result, cancellationToken) =>
        {
            using var load = new HttpLoad(result.GetRequiredValue(url), result.GetValue(valueBytes), TimeSpan.FromMilliseconds(result.GetValue(pause)));
            LoadReport report = await load.RunAsync(result.GetValue(callers), TimeSpan.FromSeconds(result.GetValue(seconds)), cancellationToken);
            report.Write(Console.Out);
            return 0;
        });
        return command.Parse(args).InvokeAsync();
    }

    private static Uri? ParseUrl(ArgumentResult result)
    {
        string token = result.Tokens.Single().Value;
        if (Uri.TryCreate(token, UriKind.Absolute, out Uri? url) && url.Scheme is "http" or "https")
        {
            return url;
        }

        result.AddError($"The URL is like http://127.0.0.1:5080, not '{token}'.");
        return null;
    }

    private static void Limit(Option<int> option, int least, int most) => option.Validators.Add(result =>
    {
        if (result.Tokens is [{ Value: var token }] && (!int.TryParse(token, out int value) || value < least || value > most))
        {
            result.AddError($"{option.Name} is a whole number from {least} to {most}, not '{token}'.");
        }
    });
}
