namespace PooledTcp;

/// <summary>Whole exchanges: rent, run, return, and once more where that is safe.</summary>
public sealed partial class TcpPool
{
    /// <inheritdoc cref="ExecuteAsync{TState, TResult}(Func{TcpLease, TState, CancellationToken, ValueTask{TResult}}, TState, ExchangeOptions, CancellationToken)"/>
    public ValueTask<TResult> ExecuteAsync<TState, TResult>(
        Func<TcpLease, TState, CancellationToken, ValueTask<TResult>> exchange, TState state, CancellationToken cancellationToken = default) =>
        ExecuteAsync(exchange, state, default, cancellationToken);

    /// <inheritdoc cref="ExecuteAsync{TState, TResult}(Func{TcpLease, TState, CancellationToken, ValueTask{TResult}}, TState, ExchangeOptions, CancellationToken)"/>
    public ValueTask ExecuteAsync<TState>(
        Func<TcpLease, TState, CancellationToken, ValueTask> exchange, TState state, CancellationToken cancellationToken = default) =>
        ExecuteAsync(exchange, state, default, cancellationToken);

    /// <inheritdoc cref="ExecuteAsync{TState, TResult}(Func{TcpLease, TState, CancellationToken, ValueTask{TResult}}, TState, ExchangeOptions, CancellationToken)"/>
    public async ValueTask ExecuteAsync<TState>(
        Func<TcpLease, TState, CancellationToken, ValueTask> exchange, TState state, ExchangeOptions options, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(exchange);
        _ = await ExecuteAsync(
            static async (lease, call, token) =>
            {
                await call.exchange(lease, call.state, token).ConfigureAwait(false);
                return true;
            },
            (exchange, state),
            options,
            cancellationToken).ConfigureAwait(false);
    }

    /// <summary>
    /// Rents, runs <paramref name="exchange"/>, and returns the connection: completed when the delegate returns, discarded
    /// when it throws. If a reused connection failed under it (an error of the socket or the peer's end, not a
    /// cancellation and not an error of the protocol) and <see cref="TcpLease.SafeToRetry"/> says yes, the delegate runs
    /// once more, on a connection that is dialed for it; <see cref="TcpPoolSnapshot.Retries"/> counts that. What the second
    /// run throws, its rent included, is what the caller gets.
    /// </summary>
    /// <typeparam name="TState">What the delegate needs, so that it can be static.</typeparam>
    /// <typeparam name="TResult">What it produces.</typeparam>
    /// <param name="exchange">
    /// One whole exchange: it returns after the last reply byte was read. It must not keep or dispose the lease, and starts
    /// afresh when it is called a second time.
    /// </param>
    /// <param name="state">Passed to <paramref name="exchange"/>.</param>
    /// <param name="options">Whether the exchange may be sent twice; by default it may not.</param>
    /// <param name="cancellationToken">Covers the rents (each has RentTimeout), and is passed to <paramref name="exchange"/>.</param>
    public async ValueTask<TResult> ExecuteAsync<TState, TResult>(
        Func<TcpLease, TState, CancellationToken, ValueTask<TResult>> exchange,
        TState state,
        ExchangeOptions options,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(exchange);
        TcpLease lease = await RentAsync(cancellationToken).ConfigureAwait(false);

        // Twice at most: the second connection is a new one, and what fails on a new one is never safe to send again.
        while (true)
        {
            ValueTask<TcpLease> another = default;
            try
            {
                TResult result = await exchange(lease, state, cancellationToken).ConfigureAwait(false);
                lease.Complete();
                return result;
            }
            catch (Exception e)
            {
                // Queued before the failed lease ends: the place under the limit that it leaves is then the retry's.
                bool again = e is not OperationCanceledException
                    && lease.FailedSafely(options.Idempotent)
                    && Core.TryEnqueueRetry(cancellationToken, out another);

                // Also when the delegate called Complete() itself before it threw.
                lease.Discard();
                if (!again)
                {
                    throw;
                }
            }
            finally
            {
                lease.Dispose();
            }

            lease = await another.ConfigureAwait(false);
        }
    }
}
