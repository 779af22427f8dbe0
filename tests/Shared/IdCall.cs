using System.Diagnostics;
using PooledTcp.IntegrationTests.Resp;

namespace PooledTcp.Shared;

/// <summary>How a call ended, as its caller sees it.</summary>
internal enum CallOutcome
{
    /// <summary>The reply carried the caller's id.</summary>
    Ok,

    /// <summary>No connection: one of the library's errors.</summary>
    NotRented,

    /// <summary>A connection, and one of the library's errors on it, or its end.</summary>
    Broken,

    /// <summary>The caller's own time for the exchange was up.</summary>
    GaveUp,

    /// <summary>What came is no reply: the caller's parser refused it.</summary>
    Garbled,

    /// <summary>A whole reply, accepted as good, that was not the caller's.</summary>
    Wrong,

    /// <summary>An error that the library does not promise.</summary>
    Untyped,
}

/// <param name="Outcome">How it ended.</param>
/// <param name="RentedIn">How long the rent took, whatever its result.</param>
/// <param name="RentStarted">A timestamp of <see cref="Stopwatch"/>.</param>
/// <param name="Error">What was caught, or for a wrong reply its text.</param>
internal readonly record struct CallResult(CallOutcome Outcome, TimeSpan RentedIn, long RentStarted, object? Error);

/// <summary>One request that asks for its own id: ECHO, with a deadline for the rent and one for the exchange.</summary>
internal static class IdCall
{
    public static async Task<CallResult> RunAsync(TcpPool pool, string id, TimeSpan rentTimeout, TimeSpan exchangeTimeout, CancellationToken cancellationToken = default)
    {
        long start = Stopwatch.GetTimestamp();
        TimeSpan rentedIn = default;
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        bool rented = false;
        try
        {
            TcpLease lease;
            try
            {
                lease = await pool.RentAsync(rentTimeout, cancellationToken);
            }
            finally
            {
                rentedIn = Stopwatch.GetElapsedTime(start);
            }

            rented = true;
            await using (lease)
            {
                patience.CancelAfter(exchangeTimeout);
                await lease.SendAsync(RespReply.Command("ECHO", id), patience.Token);
                RespReply reply = await new RespReader(lease.ReceiveAsync).ReadAsync(patience.Token);
                lease.Complete();
                return reply.Text == id ? Result(CallOutcome.Ok) : Result(CallOutcome.Wrong, $"{id} | {reply.Text}");
            }
        }
        catch (PooledTcpException e)
        {
            return Result(rented ? CallOutcome.Broken : CallOutcome.NotRented, e);
        }
        catch (EndOfStreamException e) when (rented)
        {
            return Result(CallOutcome.Broken, e);
        }
        catch (InvalidDataException e) when (rented)
        {
            return Result(CallOutcome.Garbled, e);
        }
        catch (OperationCanceledException e) when (patience.IsCancellationRequested)
        {
            return Result(CallOutcome.GaveUp, e);
        }
        catch (Exception e)
        {
            return Result(CallOutcome.Untyped, e);
        }

        CallResult Result(CallOutcome outcome, object? error = null) => new(outcome, rentedIn, start, error);
    }
}
