using System.Runtime.CompilerServices;
using System.Text.Json;
using OutageReplay.Acts;
using OutageReplay.Network;

namespace OutageReplay.Processes;

/// <summary>Plays one act in a process of its own, in a fresh network namespace if the settings say so.</summary>
internal static class ActProcess
{
    /// <summary>What the act reports, ending with <see cref="ActFinished"/> or <see cref="ChurnFinished"/>. However the enumeration ends, the act's processes are gone then.</summary>
    /// <exception cref="ReplayException">The act could not be played.</exception>
    public static async IAsyncEnumerable<ActMessage> PlayAsync(
        ActSettings settings, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        string json = JsonSerializer.Serialize(settings, ActJson.Default.ActSettings);
        string[] arguments = [Program.ActVerb, json];
        await using ChildProcess child = ChildProcess.Start(
            settings.InNamespace ? NetworkNamespace.Command(arguments) : ChildProcess.SelfCommand(arguments));

        while (await child.Output.ReadLineAsync(cancellationToken) is string line)
        {
            ActMessage message = JsonSerializer.Deserialize(line, ActJson.Default.ActMessage)!;
            if (message is ActFailed failure)
            {
                throw new ReplayException($"The {settings.Kind} act could not be played: {failure.Reason}");
            }

            yield return message;
            if (message is ActFinished or ChurnFinished)
            {
                yield break;
            }
        }

        cancellationToken.ThrowIfCancellationRequested();
        throw new ReplayException($"The {settings.Kind} act ended too early: {await child.ReadErrorAsync(cancellationToken)}");
    }
}
