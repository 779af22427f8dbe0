using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using PooledTcp.Configuration;
using PooledTcp.Ports;

namespace PooledTcp.Connections;

/// <summary>
/// Connects to the first of several addresses that answers, as RFC 8305 section 5 has it: one after the other, the next one
/// when the last has failed or has not answered for <see cref="AttemptDelay"/>.
/// </summary>
/// <remarks>
/// Two attempts run at a time and no more: a third start ends the oldest. So a dial never holds more than one socket beside
/// the one it is counted for, and never more than one port beside its own. The last two have the rest of the dial's time.
/// </remarks>
internal sealed class AddressRacer(PortedDialer dialer, TimeProvider time)
{
    /// <summary>
    /// RFC 8305's recommended value, and not an option: it is longer than a round trip and one lost ACK to nearly
    /// everywhere, and with addresses that failed going last it is paid once per failure, not once per dial.
    /// </summary>
    public static readonly TimeSpan AttemptDelay = TimeSpan.FromMilliseconds(250);

    /// <summary>On failure nothing is left open, and nothing is left in the ledger.</summary>
    /// <exception cref="NoLocalPortException">Every address failed, one at least for want of a port: it may work when one is free.</exception>
    /// <exception cref="SocketException">The one address failed.</exception>
    /// <exception cref="IOException">All of several failed; the last error is inside.</exception>
    public ValueTask<ConnectedSocket> ConnectAsync(PoolSettings settings, DialRace race, CancellationToken cancellationToken) =>
        race.Targets.Count == 1 ? TryAsync(settings.Ports, race, 0, cancellationToken) : RaceAsync(settings, race, cancellationToken);

    private async ValueTask<ConnectedSocket> RaceAsync(PoolSettings settings, DialRace race, CancellationToken cancellationToken)
    {
        // At most two, the older one first.
        List<Attempt> running = new(2);
        int next = 0;
        Exception? last = null;
        try
        {
            while (true)
            {
                if (next < race.Targets.Count)
                {
                    if (running.Count == 2)
                    {
                        // Its end is waited for (a cancelled connect is over at once): only then is its port free.
                        if (await EndOldestAsync(race, running).ConfigureAwait(false) is { } late)
                        {
                            return late;
                        }
                    }

                    running.Add(Start(settings.Ports, race, next++, cancellationToken));
                }

                Attempt? ended = await FirstToEndAsync(running, mayWait: next == race.Targets.Count, cancellationToken).ConfigureAwait(false);
                if (ended is null)
                {
                    // Nobody answered within the delay: the next one's turn.
                    continue;
                }

                running.Remove(ended);
                using (ended)
                {
                    try
                    {
                        ConnectedSocket first = await ended.Task.ConfigureAwait(false);
                        race.Won(ended.Target);
                        return first;
                    }
                    catch (Exception e) when (e is SocketException or NoLocalPortException)
                    {
                        last = e;
                    }
                }

                if (running.Count == 0 && next == race.Targets.Count)
                {
                    throw AllFailed(race, last);
                }
            }
        }
        finally
        {
            foreach (Attempt loser in running)
            {
                loser.GiveUp(dialer, settings);
            }
        }
    }

    private static IOException AllFailed(DialRace race, Exception last)
    {
        // The one that ended last need not be the one that was started last.
        int index = 0;
        for (int i = 0; i < race.Targets.Count; i++)
        {
            _ = race.Look(i, out Exception? error);
            if (error is NoLocalPortException noPort)
            {
                return noPort;
            }

            index = ReferenceEquals(error, last) ? i : index;
        }

        return new IOException(
            string.Create(CultureInfo.InvariantCulture, $"All {race.Targets.Count} addresses failed, at last {race.Targets[index].EndPoint}: {last.Message}"),
            last);
    }

    private Attempt Start(PortPolicy policy, DialRace race, int target, CancellationToken cancellationToken)
    {
        CancellationTokenSource end = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        return new Attempt(target, TryAsync(policy, race, target, end.Token).AsTask(), end);
    }

    private async ValueTask<ConnectedSocket> TryAsync(PortPolicy policy, DialRace race, int target, CancellationToken cancellationToken)
    {
        race.Started(target);
        try
        {
            ConnectedSocket socket = await dialer.ConnectAsync(policy, (IPEndPoint)race.Targets[target].EndPoint, cancellationToken).ConfigureAwait(false);
            if (race.Targets.Count == 1)
            {
                // Nobody runs against it.
                race.Won(target);
            }

            return socket;
        }
        catch (Exception e) when (e is SocketException or NoLocalPortException)
        {
            race.Failed(target, e);
            throw;
        }
    }

    /// <summary>The attempt that ended first; null when the delay has passed and another may start.</summary>
    private async ValueTask<Attempt?> FirstToEndAsync(List<Attempt> running, bool mayWait, CancellationToken cancellationToken)
    {
        Debug.Assert(running.Count is 1 or 2, "A dial without an attempt has ended.");
        Task first = running.Count == 1 ? running[0].Task : Task.WhenAny(running[0].Task, running[1].Task);
        if (!mayWait && !first.IsCompleted)
        {
            using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            Task delay = Task.Delay(AttemptDelay, time, stop.Token);
            await Task.WhenAny(first, delay).ConfigureAwait(false);
            await stop.CancelAsync().ConfigureAwait(false);
            cancellationToken.ThrowIfCancellationRequested();
        }
        else if (mayWait)
        {
            await Task.WhenAny(first).ConfigureAwait(false);
        }

        return running.Find(static attempt => attempt.Task.IsCompleted);
    }

    /// <summary>Ends the attempt that has run longest; its socket, if it connected at that very moment.</summary>
    private static async ValueTask<ConnectedSocket?> EndOldestAsync(DialRace race, List<Attempt> running)
    {
        using Attempt oldest = running[0];
        running.RemoveAt(0);
        await oldest.End.CancelAsync().ConfigureAwait(false);
        try
        {
            ConnectedSocket socket = await oldest.Task.ConfigureAwait(false);
            race.Won(oldest.Target);
            return socket;
        }
        catch (Exception e) when (e is SocketException or NoLocalPortException or OperationCanceledException)
        {
            return null;
        }
    }

    private sealed record Attempt(int Target, Task<ConnectedSocket> Task, CancellationTokenSource End) : IDisposable
    {
        /// <summary>Ends a loser at once, without the winner waiting for it.</summary>
        public void GiveUp(PortedDialer dialer, PoolSettings settings)
        {
            End.Cancel();
            _ = Task.ContinueWith(
                ended =>
                {
                    if (ended.IsCompletedSuccessfully)
                    {
                        // It had connected, too.
                        dialer.GiveUp(ended.Result, settings);
                    }

                    _ = ended.Exception; // observed
                    Dispose();
                },
                CancellationToken.None,
                TaskContinuationOptions.ExecuteSynchronously,
                TaskScheduler.Default);
        }

        public void Dispose() => End.Dispose();
    }
}
