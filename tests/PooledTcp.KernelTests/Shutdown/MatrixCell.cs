using System.Diagnostics;
using System.Net.Sockets;
using System.Security.Authentication;
using PooledTcp.Configuration;
using PooledTcp.Connections;
using PooledTcp.KernelTests.Harness;
using PooledTcp.KernelTests.Ports;
using PooledTcp.Ports;
using PooledTcp.Shutdown;

namespace PooledTcp.KernelTests.Shutdown;

/// <summary>
/// One connection of the matrix: brought into its condition, closed by the pool's own pieces (CloseRun, or CloseMoves where
/// the policy would choose another method), and looked at in the kernel.
/// </summary>
internal sealed class MatrixCell
{
    /// <summary>More than the window of a receive buffer that nobody empties.</summary>
    public const int Much = 192 * 1024;

    private static readonly TimeSpan LongAgo = TimeSpan.FromMinutes(1);
    private static readonly SocketSettings Tuning = new(
        NoDelay: true, TimeSpan.FromSeconds(20), TimeSpan.FromSeconds(5), KeepAliveCount: 3, TimeSpan.FromSeconds(35));

    private readonly MatrixRow _row;
    private readonly PlannedDials _dials;
    private readonly PortAccount _account;
    private readonly Transport _transport;
    private readonly ServerProgram _server;
    private readonly long _owed;
    private readonly TaskCompletionSource _closing = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private MatrixCell(MatrixRow row, PlannedDials dials, PortAccount account, Transport transport, ServerProgram server, KernelView kernel, long owed)
    {
        _row = row;
        _dials = dials;
        _account = account;
        _transport = transport;
        _server = server;
        Kernel = kernel;
        _owed = owed;
    }

    public KernelView Kernel { get; }

    /// <summary>Dials, shakes hands, and brings the connection into the row's condition.</summary>
    public static async Task<MatrixCell> PrepareAsync(MatrixRow row, Wiring wiring, PlannedDials dials, Peer peer)
    {
        Dialed dialed = await dials.DialAsync(wiring.To(peer.EndPoint), peer, wiring.DualMode);
        (Socket client, Socket accepted) = dialed.Pair!.Value;
        var server = new ServerProgram(accepted, wiring.Tls != SslProtocols.None)
        {
            ClosesOnFarewell = row.Method == CloseMethod.Goodbye,
            NeverCloses = row.Condition == Condition.PeerNeverCloses,
        };
        var socket = new ConnectedSocket(client, dialed.Account);
        socket.Tune(Tuning, random: 0);
        Transport transport = await OpenAsync(wiring, socket, server);
        if (wiring.Used)
        {
            await ExchangeAsync(transport, server);
        }
        else
        {
            await KernelView.UntilAsync(() => client.Available > 0, "session tickets");
        }

        long owed = await ReachAsync(row.Condition, transport, client, server);

        // As the pool does at return, and after a dial.
        Require(transport.TryPark(), "parked");
        return new MatrixCell(row, dials, dialed.Account!, transport, server, new KernelView(client), owed);
    }

    /// <summary>Closes, and says what came of it; <see cref="MatrixRow.Condition"/>, Method and By are the row's.</summary>
    public async Task<MatrixRow> CloseAsync()
    {
        Task<PeerSaw> program = _row.Condition is Condition.PeerClosed ? Task.FromResult(PeerSaw.Nothing)
            : MustWait ? Task.Run(ReadLaterAsync)
            : _server.RunAsync();
        long start = TimeProvider.System.GetTimestamp();
        (CloseOutcome outcome, bool freeAtOnce) = _row.By == ChosenBy.Policy ? await CloseByPolicyAsync() : await CloseByHandAsync();
        await KernelView.UntilAsync(() => Kernel.IsClientSettled, $"{Name}: {Kernel.States}");
        TimeSpan taken = TimeProvider.System.GetElapsedTime(start);

        PeerSaw saw = PeerSaw.Nothing;
        if (_row.Condition == Condition.PeerVanished)
        {
            Require(!program.IsCompleted && Kernel.ServerEnd?.State == TcpStates.Established, $"{Name}: the peer noticed");
        }
        else
        {
            saw = await program.WaitAsync(TimeSpan.FromSeconds(60));
            await KernelView.UntilAsync(() => Kernel.IsSettled, $"{Name}: {Kernel.States}");
        }

        return _row with
        {
            TimeWait = Kernel.TimeWait,
            Port = PortTaken(freeAtOnce, taken),
            Peer = saw,
            Lost = _server.Received != _owed,
            Account = outcome,
        };
    }

    private string Name => $"{_row.Condition} x {_row.Method}";

    // A peer that answers is given time, so that a busy machine does not decide the method; one that does not is waited out.
    private TimeSpan GoodbyeTimeout => IsWaitedOut ? TimeSpan.FromSeconds(1) : TimeSpan.FromSeconds(20);

    private TimeSpan DrainTimeout => IsWaitedOut ? TimeSpan.FromSeconds(2) : TimeSpan.FromSeconds(20);

    private bool IsWaitedOut => _row.Condition is Condition.PeerNeverCloses or Condition.PeerVanished;

    /// <summary>So that what is under way is still under way when the close comes.</summary>
    private bool MustWait => _row.Condition is Condition.UnsentOutbound or Condition.PeerHalfClosed;

    private static async Task<Transport> OpenAsync(Wiring wiring, ConnectedSocket socket, ServerProgram server)
    {
        if (wiring.Tls == SslProtocols.None)
        {
            return new SocketTransport(socket);
        }

        Task accept = server.AcceptTlsAsync(wiring.Tls);
        Transport transport = await TlsTransport.AuthenticateAsync(socket, TestCertificate.Pinned(wiring.Tls), CancellationToken.None);
        await accept;
        return transport;
    }

    private static async Task ExchangeAsync(Transport transport, ServerProgram server)
    {
        var buffer = new byte[16];
        await transport.SendAsync(new byte[4], CancellationToken.None);
        Require(await server.ReceiveAsync(buffer) == 4, "a request");
        await server.SendAsync(new byte[4]);
        Require(await transport.ReceiveAsync(buffer, CancellationToken.None) == 4, "a reply");
        Require(transport.TryPark() && transport.CheckIdle() == IdleVerdict.Clean, "a clean connection");
    }

    /// <summary>Returns how many bytes the server's program has yet to receive.</summary>
    private static async Task<long> ReachAsync(Condition condition, Transport transport, Socket client, ServerProgram server)
    {
        int available = client.Available;
        switch (condition)
        {
            case Condition.UnreadInbound:
                await server.SendAsync(new byte[100]);
                await KernelView.UntilAsync(() => client.Available >= available + 100, "unread bytes");
                return 0;

            case Condition.UnsentOutbound:
                return await WriteMuchAsync(transport, client);

            case Condition.PeerClosed:
                await server.SendAsync(new byte[100]);
                await server.SendFinAsync();
                server.Dispose();
                await KernelView.UntilAsync(() => transport.PeerClosed, "the server's FIN");
                return 0;

            case Condition.PeerHalfClosed:
                long written = await WriteMuchAsync(transport, client);
                await server.SendFinAsync();
                await KernelView.UntilAsync(() => transport.PeerClosed, "the server's FIN");
                return written;

            case Condition.PeerVanished:
                CutCable.To(server.Socket);
                return 0;

            default:
                return 0;
        }
    }

    private static async Task<long> WriteMuchAsync(Transport transport, Socket client)
    {
        client.SendBufferSize = 2 * Much;
        await transport.SendAsync(new byte[Much], CancellationToken.None).AsTask().WaitAsync(TimeSpan.FromSeconds(60));
        Require(TcpInfo.Read(client, LongAgo).HasUnsent, "unsent bytes");
        return Much;
    }

    private async Task<PeerSaw> ReadLaterAsync()
    {
        await _closing.Task;
        return await _server.RunAsync();
    }

    /// <summary>Settings and facts that make the policy choose the row's method.</summary>
    private async Task<(CloseOutcome Outcome, bool FreeAtOnce)> CloseByPolicyAsync()
    {
        bool goodbye = _row.Method == CloseMethod.Goodbye;
        bool abort = _row.Method == CloseMethod.Abort;
        bool vanished = _row.Condition == Condition.PeerVanished;
        bool freeAtOnce = false;
        var close = new PoolClose(_transport, _dials.Ledger, _account)
        {
            ClosesFirst = goodbye ? ClosesFirst.Server : _row.Method == CloseMethod.Graceful ? ClosesFirst.Client : ClosesFirst.Auto,
            Goodbye = goodbye && !_transport.HasCloseNotify ? new GoodbyeBytes(ServerProgram.Quit) : default,
            Reason = abort && !vanished ? CloseReason.Abandoned : CloseReason.IdleTimeout,
            PortIsWanted = _row.Method == CloseMethod.Quiet,

            // A vanished peer is known by TCP_INFO: its last ACK is too old.
            VanishedAfter = abort && vanished ? TimeSpan.FromMilliseconds(-1) : LongAgo,
            OnClosed = () => freeAtOnce = Kernel.ClientEnd is null,
            GoodbyeTimeout = GoodbyeTimeout,
            DrainTimeout = DrainTimeout,
        };
        close.Start();

        // An RST waits for nobody; where it went out on another thread, the reader must not be ahead of it.
        if (abort)
        {
            await close.WaitAsync();
        }

        _closing.SetResult();
        return (await close.WaitAsync(), freeAtOnce);
    }

    private async Task<(CloseOutcome Outcome, bool FreeAtOnce)> CloseByHandAsync()
    {
        _dials.Ledger.Closing(_account);
        IClosingSocket socket = _transport.BeginClosing();
        using var deadline = new CancellationTokenSource(DrainTimeout);
        Task<CloseOutcome?> close = ChosenAsync();
        _closing.SetResult();
        CloseOutcome? outcome = await close;
        bool freeAtOnce = Kernel.ClientEnd is null;
        _transport.Close();
        Require(outcome is not null, $"{Name}: in time");
        _dials.Ledger.Closed(_account, outcome!.Value.TimeWaitIsOurs ? PortDebt.TimeWait : PortDebt.None);
        return (outcome.Value, freeAtOnce);

        async Task<CloseOutcome?> ChosenAsync() => _row.Method switch
        {
            CloseMethod.Goodbye => await CloseMoves.GoodbyeAsync(
                _transport, socket, _transport.HasCloseNotify ? default : ServerProgram.Quit, DrainTimeout, deadline.Token),
            CloseMethod.Graceful => await CloseMoves.GracefulAsync(_transport, socket, DrainTimeout, deadline.Token),
            CloseMethod.Quiet => await CloseMoves.QuietAsync(_transport, socket, DrainTimeout, deadline.Token),
            CloseMethod.Abort => CloseMoves.Abort(socket),
            _ => throw new UnreachableException(),
        };
    }

    private Port PortTaken(bool freeAtOnce, TimeSpan taken)
    {
        if (Kernel.ClientEnd is { } left)
        {
            Require(left.TimeWaitLeft is { TotalSeconds: > 10 and < 61 }, $"{Name}: {left}");
            return Port.Minute;
        }

        if (_row.Condition != Condition.PeerVanished)
        {
            // That Abort needs no round trip is worth saying; that one was over before we looked is not.
            return _row.Method == CloseMethod.Abort && freeAtOnce ? Port.AtOnce : Port.RoundTrip;
        }

        // Without the timeout it would be 107 s.
        Require(freeAtOnce || taken.TotalSeconds is > 1.9 and < 30, $"{Name}: the port was taken for {taken}");
        return freeAtOnce ? Port.AtOnce : Port.UserTimeout;
    }

    private static void Require(bool condition, string what)
    {
        if (!condition)
        {
            throw new InvalidOperationException($"Not so: {what}");
        }
    }
}
