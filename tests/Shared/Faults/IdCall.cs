using System.Diagnostics;
using PooledTcp.IntegrationTests.Resp;

namespace PooledTcp.TestSupport;

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

/// <summary>By which of the lease's ways a call talks, and how it ends.</summary>
internal enum CallStyle
{
    Direct,
    Stream,
    Pipes,

    /// <summary>By <c>ExecuteAsync</c>, where the rent has the endpoint's timeout.</summary>
    Execute,

    /// <summary>The same, and may be sent a second time.</summary>
    ExecuteIdempotent,

    /// <summary>Answered, and closed all the same.</summary>
    Discard,

    /// <summary>Answered, and never declared complete.</summary>
    Forget,
}

/// <summary>One request that asks for its own id: ECHO, with a deadline for the rent and one for the exchange.</summary>
internal static class IdCall
{
    public static async Task<CallResult> RunAsync(
        TcpPool pool, string id, TimeSpan rentTimeout, TimeSpan exchangeTimeout, CallStyle style = CallStyle.Direct, CancellationToken cancellationToken = default)
    {
        long start = Stopwatch.GetTimestamp();
        TimeSpan? rentedIn = null;
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        try
        {
            RespReply reply = style is CallStyle.Execute or CallStyle.ExecuteIdempotent
                ? await pool.ExecuteAsync(
                    (lease, _, _) => new ValueTask<RespReply>(TalkAsync(lease)),
                    id,
                    new ExchangeOptions { Idempotent = style == CallStyle.ExecuteIdempotent },
                    patience.Token)
                : await RentAndTalkAsync();
            return reply.Text == id ? Result(CallOutcome.Ok) : Result(CallOutcome.Wrong, $"{id} | {reply.Text}");
        }
        catch (PooledTcpException e)
        {
            return Result(rentedIn is null ? CallOutcome.NotRented : CallOutcome.Broken, e);
        }
        catch (EndOfStreamException e) when (rentedIn is not null)
        {
            return Result(CallOutcome.Broken, e);
        }
        catch (InvalidDataException e) when (rentedIn is not null)
        {
            return Result(CallOutcome.Garbled, e);
        }
        catch (OperationCanceledException e) when (cancellationToken.IsCancellationRequested || patience.IsCancellationRequested)
        {
            // The first is set before the second, and a rent that was given the first may end in between.
            return Result(CallOutcome.GaveUp, e);
        }
        catch (Exception e)
        {
            return Result(CallOutcome.Untyped, e);
        }

        async Task<RespReply> RentAndTalkAsync()
        {
            await using TcpLease lease = await pool.RentAsync(rentTimeout, cancellationToken);
            RespReply reply = await TalkAsync(lease);
            switch (style)
            {
                case CallStyle.Discard:
                    lease.Discard();
                    break;
                case CallStyle.Forget:
                    break;
                default:
                    lease.Complete();
                    break;
            }

            return reply;
        }

        async Task<RespReply> TalkAsync(TcpLease lease)
        {
            rentedIn = Stopwatch.GetElapsedTime(start);
            patience.CancelAfter(exchangeTimeout);
            byte[] command = RespReply.Command("ECHO", id);
            switch (style)
            {
                case CallStyle.Stream:
                    await lease.Stream.WriteAsync(command, patience.Token);
                    return await new RespReader(lease.Stream.ReadAsync).ReadAsync(patience.Token);
                case CallStyle.Pipes:
                    await lease.Output.WriteAsync(command, patience.Token);
                    return await RespReader.ReadAsync(lease.Input, patience.Token);
                default:
                    await lease.SendAsync(command, patience.Token);
                    return await new RespReader(lease.ReceiveAsync).ReadAsync(patience.Token);
            }
        }

        CallResult Result(CallOutcome outcome, object? error = null) =>
            new(outcome, rentedIn ?? Stopwatch.GetElapsedTime(start), start, error);
    }
}
