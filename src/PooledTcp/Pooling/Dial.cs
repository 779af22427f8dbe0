using System.Diagnostics;
using System.Runtime.CompilerServices;
using PooledTcp.Configuration;
using PooledTcp.Connections;
using PooledTcp.Health;
using PooledTcp.Ports;
using PooledTcp.Telemetry;

namespace PooledTcp.Pooling;

/// <summary>
/// One attempt to open a connection: connect, TLS and the protocol's handshake within ConnectTimeout. It belongs to the
/// pool. The waiter it was started for may be served or leave meanwhile; the dial then passes to another.
/// </summary>
#pragma warning disable CA1001 // The run of the dial disposes it.
internal sealed class Dial(ConnectionPool pool, PoolSettings settings, int generation, EndpointRoutes routes, NameCache? names) : IThreadPoolWorkItem
#pragma warning restore CA1001
{
    private readonly CancellationTokenSource _budget = new();
    private string _stage = "connecting";
    private volatile bool _isCalledOff;

    public int Generation { get; } = generation;

    /// <summary>The addresses of the endpoint as it was when the dial began: its verdict is theirs.</summary>
    public EndpointRoutes Routes { get; } = routes;

    /// <summary>Null when there is no name to look up.</summary>
    public NameCache? Names { get; } = names;

    /// <summary>What it tries. Exchanged for the true one, under the pool's gate, once a name's first lookup is done.</summary>
    public RoutePlan Plan { get; set; } = routes.Begin();

    /// <summary>Who would otherwise get a dial of its own. Touched under the pool's gate only.</summary>
    public Waiter? Waiter { get; set; }

    /// <summary>
    /// The waiter took over a dial that was started for another one, or for none. It takes the success, but not the
    /// failure: it had no part in an attempt whose budget may have been used up before it came. Under the pool's gate only.
    /// </summary>
    public bool IsInherited { get; set; }

    /// <summary>The span of this dial, if it is recorded.</summary>
    public StrongBox<ActivityContext>? Setup { get; private set; }

    /// <summary>On the pool clock.</summary>
    public TimeSpan StartedAt { get; private set; }

    /// <summary>Links the dials that one pass of the planner starts.</summary>
    public Dial? NextToLaunch { get; set; }

    /// <summary>
    /// Runs on the thread pool without the execution context of the caller who happened to need it: the connection will
    /// outlive that caller, and so would its AsyncLocals and its Activity.
    /// </summary>
    public void Execute() => _ = RunAsync();

    /// <summary>Calls it off: the pool closed, or its generation moved on.</summary>
    public void Cancel()
    {
        _isCalledOff = true;
        HookCancellation.Queue(_budget);
    }

    private async Task RunAsync()
    {
        TcpConnection? connection = null;
        Exception? failure = null;
        ITimer? timer = null;
        Activity? span = null;
        StartedAt = pool.Services.Clock.Read();
        try
        {
            // Not in the constructor, which runs under the pool's gate: the TimeProvider is the user's code, and a fake one
            // runs whatever is due, the pool's own timers included, on the stack of who makes a timer.
            timer = pool.Services.Clock.CreateTimer(
                static dial => HookCancellation.Queue(((Dial)dial!)._budget), this, settings.ConnectTimeout);
            span = pool.Telemetry.StartSetup();
            Setup = span is null ? null : new StrongBox<ActivityContext>(span.Context);
            connection = await OpenAsync(_budget.Token).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            failure = Explain(e);
        }

        // Before the pool hears of it: what that sets going has nothing to do with this span.
        pool.Telemetry.SetupEnded(
            span,
            pool.Services.Clock.Read() - StartedAt,
            connection?.Facts,
            failure is null ? null : failure is NoLocalPortException ? ErrorTypes.LocalPortsExhausted : ErrorTypes.Of(failure),
            isCalledOff: _isCalledOff && failure is OperationCanceledException);
        if (timer is not null)
        {
            await timer.DisposeAsync().ConfigureAwait(false);
        }

        _budget.Dispose();
        if (connection is not null)
        {
            pool.DialSucceeded(this, connection);
        }
        else
        {
            pool.DialFailed(this, failure!);
        }
    }

    private async Task<TcpConnection> OpenAsync(CancellationToken cancellationToken)
    {
        Transport transport = await ConnectAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            TcpConnection connection = pool.NewConnection(transport, this, settings);
            if (pool.Hooks.Handshake is { } handshake)
            {
                _stage = "in the handshake";
                connection.Session = await HookLease.RunAsync(connection, handshake, cancellationToken).ConfigureAwait(false);
                ThrowIfUnfit(transport);
            }

            connection.HandTo(pool.Warm);
            if (transport.PeerClosed)
            {
                // A server at its limit of connections accepts and closes. Lent, it would cost its caller an exchange;
                // counted as open, it would close the breaker, and nothing would pace the dials.
                throw new IOException("The server closed the connection as soon as it was open.");
            }

            return connection;
        }
        catch
        {
            pool.GiveUp(transport, settings);
            throw;
        }
    }

    /// <summary>What the handshake left unread would be the first caller's reply.</summary>
    private static void ThrowIfUnfit(Transport transport)
    {
        IdleVerdict verdict = transport.TryPark() ? transport.CheckIdle() : IdleVerdict.UnreadBytes;
        if (verdict != IdleVerdict.Clean)
        {
            throw new InvalidOperationException(verdict == IdleVerdict.UnreadBytes
                ? "The handshake hook returned before it had read everything the server sent."
                : "The server closed the connection at the end of the handshake.");
        }
    }

    private async Task<Transport> ConnectAsync(CancellationToken cancellationToken)
    {
        _stage = Plan.NeedsLookup ? "looking up the name" : _stage;
        DialRace race = await pool.FindTargetsAsync(this, cancellationToken).ConfigureAwait(false);
        _stage = "connecting";
        Task<Transport> connect = pool.Connector.ConnectAsync(settings, race, cancellationToken).AsTask();
        try
        {
            // A connect callback may ignore its token. The budget holds all the same: a stalled dial must not keep its permit.
            return await connect.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            _ = connect.ContinueWith(
                late =>
                {
                    if (late.IsCompletedSuccessfully)
                    {
                        pool.GiveUp(late.Result, settings);
                    }

                    _ = late.Exception; // observed
                },
                CancellationToken.None,
                TaskContinuationOptions.ExecuteSynchronously,
                TaskScheduler.Default);
            throw;
        }
    }

    private Exception Explain(Exception exception) =>
        exception is OperationCanceledException && _budget.IsCancellationRequested && !_isCalledOff
            ? new TimeoutException($"ConnectTimeout ({settings.ConnectTimeout.TotalSeconds:0.###} s) passed while {_stage}.", exception)
            : exception;
}
