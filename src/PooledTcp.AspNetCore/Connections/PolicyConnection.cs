using System.IO.Pipelines;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.Extensions.Logging;
using PooledTcp.AspNetCore.Configuration;
using PooledTcp.AspNetCore.Telemetry;

namespace PooledTcp.AspNetCore.Connections;

/// <summary>
/// One connection and how it ends. Closing has two halves. First the handler's input ends, on idle, at a stop or by its own
/// wish; it answers what it has and returns. Then <see cref="CloseAsync"/> closes the socket in the order the policy asks for.
/// </summary>
internal sealed class PolicyConnection : IDuplexPipe, IClosePolicyFeature
{
    private readonly ConnectionContext _context;
    private readonly Socket _socket;
    private readonly ClosePolicySettings _settings;
    private readonly EndableInput _input;
    private readonly OutputPump _output;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;

    private ITimer? _idleTimer;
    private ulong _acknowledged;
    private ITimer? _flushTimer;
    private volatile bool _flushTimedOut;
    private CancellationTokenRegistration _onStopping;
    private Task _pumping = Task.CompletedTask;
    private int _cause;
    private volatile bool _closeFirst;

    public PolicyConnection(
        ConnectionContext context, Socket socket, ClosePolicySettings settings, OutputPump output, TimeProvider time, ILogger logger)
    {
        (_context, _socket, _settings, _output, _time, _logger) = (context, socket, settings, output, time, logger);
        _input = new EndableInput(context.Transport.Input, time);
    }

    public PipeReader Input => _input;

    public PipeWriter Output => _output.Writer;

    public ClosingSide ClosesFirst => _closeFirst ? ClosingSide.Server : _settings.ClosesFirst;

    public void CloseFirst()
    {
        _closeFirst = true;
        LinuxTcp.TryHoldLastSegment(_socket);
        EndInput(CloseCause.Requested);
    }

    public void Start()
    {
        _pumping = PumpAsync();
        if (_settings.IdleTimeout != Timeout.InfiniteTimeSpan)
        {
            // One timer for a whole life, set again only when it fires: a read costs two timestamps, no timer.
            // Due only once the field is set, because the callback uses it.
            _idleTimer = _time.CreateTimer(
                static state => ((PolicyConnection)state!).CheckIdle(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
            _idleTimer.Change(_settings.IdleTimeout, Timeout.InfiniteTimeSpan);
        }

        // Kestrel asks each connection to close before it waits for them: at a stop of the host, or of this endpoint.
        var stopping = _context.Features.Get<IConnectionLifetimeNotificationFeature>()?.ConnectionClosedRequested ?? CancellationToken.None;
        _onStopping = stopping.UnsafeRegister(static state => ((PolicyConnection)state!).EndInput(CloseCause.Stopping), this);
    }

    public void HandlerFailed(Exception exception)
    {
        // Where the stream of a failed handler stands nobody knows, so there is no point in waiting for the client's goodbye.
        if (exception is not (ConnectionResetException or ConnectionAbortedException))
        {
            _closeFirst = true;
        }

        TrySetCause(CloseCause.HandlerFailed);
    }

    /// <summary>
    /// Nobody will write any more: from now on <see cref="ClosePolicyOptions.FlushTimeout"/> runs, once for all that is still
    /// to leave, the TLS layer's part and ours. Its end is a reset, which wakes whoever waits for the client, in either part.
    /// </summary>
    public void HandlerEnded()
    {
        if (_flushTimer is null)
        {
            _flushTimer = _time.CreateTimer(
                static state => ((PolicyConnection)state!).CutFlush(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
            _flushTimer.Change(_settings.FlushTimeout, Timeout.InfiniteTimeSpan);
        }
    }

    /// <summary>Runs what sends the very last bytes. After <see cref="HandlerEnded"/>, which bounds it.</summary>
    public async Task SendLastAsync(Func<Task> send)
    {
        if (ClosesFirst == ClosingSide.Server)
        {
            LinuxTcp.TryHoldLastSegment(_socket);
        }

        try
        {
            await send().ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or InvalidOperationException or NotSupportedException)
        {
            // Broken, or in use by something the handler left behind. Either way CloseAsync meets it again.
        }
    }

    /// <summary>Brings the connection to where Kestrel may dispose the socket. Never throws for a peer that went away.</summary>
    public async Task CloseAsync()
    {
        if (_idleTimer is not null)
        {
            await _idleTimer.DisposeAsync().ConfigureAwait(false);
        }

        _onStopping.Unregister();
        TrySetCause(CloseCause.HandlerReturned);
        HandlerEnded();
        CloseMethod method;
        try
        {
            await _input.DetachAsync().ConfigureAwait(false);
            method = await FlushAsync().ConfigureAwait(false) ? await CloseSocketAsync().ConfigureAwait(false) : CloseMethod.Abort;
        }
        catch (Exception e) when (e is IOException or SocketException or ObjectDisposedException or ConnectionAbortedException)
        {
            method = CloseMethod.Broken;
        }

        ClosePolicyLog.Closed(_logger, _context.ConnectionId, (CloseCause)_cause, method);
    }

    /// <summary>False when the stream was cut short, by the handler or by <see cref="CutFlush"/>.</summary>
    private async Task<bool> FlushAsync()
    {
        await _output.Writer.CompleteAsync().ConfigureAwait(false);
        try
        {
            await _pumping.ConfigureAwait(false);
        }
        catch (Exception e) when (_flushTimedOut || e is not (SocketException or ObjectDisposedException))
        {
            // Too slow, or the handler completed its output with this exception: its way to say reset.
            return false;
        }
        finally
        {
            // Waits for a callback that runs just now, so that the flag is final.
            await _flushTimer!.DisposeAsync().ConfigureAwait(false);
        }

        return !_flushTimedOut;
    }

    private async Task<CloseMethod> CloseSocketAsync()
    {
        if (_input.ClientClosed)
        {
            return CloseMethod.Passive;
        }

        if (ClosesFirst == ClosingSide.Client)
        {
            if (await DrainAsync(_settings.ClientCloseTimeout, CloseMethod.Passive).ConfigureAwait(false) is { } passive)
            {
                return passive;
            }

            if (_settings.AllowQuietClose && LinuxTcp.TryCloseQuietly(_socket))
            {
                return CloseMethod.Quiet;
            }
        }

        // Only the sending half, and only now: Kestrel's receive loop goes on reading what the client still sends. Bytes left
        // unread would turn the close into a reset (tcp-facts row 5). It also keeps the Dispose to come, with that loop's
        // receive pending, from being one: .NET resets unless the socket was shut down before (tcp-facts section 2).
        // No TCP_USER_TIMEOUT here as on the client's side: what a vanished client costs us is memory, not a port, and the
        // timeout would also cut off a client that reads slowly.
        _socket.Shutdown(SocketShutdown.Send);
        if (await DrainAsync(_settings.DrainTimeout, CloseMethod.Graceful).ConfigureAwait(false) is { } graceful)
        {
            return graceful;
        }

        return _settings.AllowQuietClose && LinuxTcp.TryCloseQuietly(_socket) ? CloseMethod.Quiet : CloseMethod.Orphaned;
    }

    /// <summary><paramref name="closed"/> after the client's FIN; null when it did not come in time.</summary>
    private async Task<CloseMethod?> DrainAsync(TimeSpan timeout, CloseMethod closed)
    {
        using var deadline = new CancellationTokenSource(timeout, _time);
        // What waits in the kernel has arrived as well: Kestrel stops receiving when its pipe is full. Asked before the pipe
        // is emptied: what moves from one to the other in between counts as arrived twice, instead of not at all.
        var limit = (long)_settings.DrainLimit + _socket.Available;
        try
        {
            if (await _input.DrainAsync(limit, deadline.Token).ConfigureAwait(false))
            {
                return closed;
            }
        }
        catch (OperationCanceledException e) when (e is not ConnectionAbortedException)
        {
            return null;
        }

        // A reset it would be anyway as soon as the next byte comes: on purpose, it is one every time.
        _context.Abort(new ConnectionAbortedException($"The client sent more than {nameof(_settings.DrainLimit)} instead of closing."));
        return CloseMethod.CutOff;
    }

    private async Task PumpAsync()
    {
        try
        {
            await _output.RunAsync().ConfigureAwait(false);
        }
        catch (Exception e)
        {
            // As when Kestrel's own send loop fails: its receive loop ends too, and ConnectionClosed fires.
            _context.Abort(new ConnectionAbortedException("Sending failed, or the handler completed its output with an exception.", e));
            throw;
        }
    }

    private void CheckIdle()
    {
        var idle = TimeSpan.Zero;
        if (_input.WaitingSince is { } since)
        {
            // A handler that only sends is not idle, though it waits for the client in another loop.
            idle = _time.GetElapsedTime(Math.Max(since, _output.LastSend));
        }

        if (idle >= _settings.IdleTimeout && _output.IsSending && LinuxTcp.TryGetAcknowledged(_socket) is { } acknowledged && acknowledged != _acknowledged)
        {
            // The kernel takes the next bytes only when much of its buffer is free, which with megabytes of buffer and a slow
            // client is rare. As long as the client takes some of them it is not idle.
            _acknowledged = acknowledged;
            idle = TimeSpan.Zero;
        }

        if (idle >= _settings.IdleTimeout)
        {
            EndInput(CloseCause.Idle);
        }
        else
        {
            // False, and nothing happens, when it was disposed meanwhile.
            _idleTimer!.Change(_settings.IdleTimeout - idle, Timeout.InfiniteTimeSpan);
        }
    }

    private void CutFlush()
    {
        _flushTimedOut = true;
        ClosePolicyLog.FlushTimedOut(_logger, _context.ConnectionId, _settings.FlushTimeout);
        _context.Abort(new ConnectionAbortedException("The client did not take the last bytes in time."));
    }

    private void EndInput(CloseCause cause)
    {
        TrySetCause(cause);
        _input.End();
    }

    private void TrySetCause(CloseCause cause) => Interlocked.CompareExchange(ref _cause, (int)cause, (int)CloseCause.None);
}
