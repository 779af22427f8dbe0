using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace PooledTcp.TestSupport;

/// <summary>
/// Stands between a pool and its server, on loopback, and does what networks and dying servers do. Raw sockets, so that what
/// is on the wire is exactly the fault and nothing else: a stall that is really a close would prove nothing.
/// </summary>
internal sealed class FaultProxy : IAsyncDisposable
{
    // Longer than an unanswered SYN could be overlooked, shorter than its first retransmission (1 s).
    private static readonly TimeSpan SynPatience = TimeSpan.FromMilliseconds(100);

    private static readonly TimeSpan RebindPatience = TimeSpan.FromSeconds(10);

    private readonly EndPoint _server;
    private readonly Lock _gate = new();
    private readonly HashSet<FaultChannel> _channels = [];
    private readonly List<Socket> _fillers = [];

    // Under the gate.
    private readonly List<Task> _running = [];
    private FaultOrder _forLater;
    private Socket? _listener;
    private int _accepted;

    /// <param name="port">Where it listens; below the ephemeral range, so that nobody takes it while it refuses.</param>
    /// <param name="server">Where it relays to.</param>
    public FaultProxy(int port, EndPoint server)
    {
        Port = port;
        _server = server;
        Listen();
    }

    public int Port { get; }

    public string Address => $"127.0.0.1:{Port}";

    /// <summary>Connections accepted so far.</summary>
    public int Accepted => Volatile.Read(ref _accepted);

    /// <summary>Connections to the server that it holds now.</summary>
    public int Open
    {
        get
        {
            lock (_gate)
            {
                return _channels.Count;
            }
        }
    }

    /// <summary>Its own sockets to its port, while dials are not answered.</summary>
    public int Fillers => _fillers.Count;

    public void Inject(Fault fault, FaultScope scope = FaultScope.All, FaultTrigger trigger = FaultTrigger.AtOnce, int replyBytes = 1)
    {
        FaultOrder order = new(fault, trigger, replyBytes);
        FaultChannel[] live;
        lock (_gate)
        {
            if (scope.HasFlag(FaultScope.Later))
            {
                _forLater = order;
                if (fault == Fault.Refuse && trigger == FaultTrigger.AtOnce)
                {
                    StopListening();
                }
            }

            live = scope.HasFlag(FaultScope.Live) ? [.. _channels] : [];
        }

        foreach (FaultChannel channel in live)
        {
            channel.Order(order);
        }
    }

    /// <summary>
    /// From now on no SYN is answered: a listener that accepts nothing and whose queue is full. What the kernel drops then is
    /// what a black hole drops; nothing is refused.
    /// </summary>
    public async Task StopAnsweringDialsAsync(CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            StopListening();
            _listener = NewListener(backlog: 0);
        }

        while (true)
        {
            Socket filler = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            _fillers.Add(filler);
            using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            patience.CancelAfter(SynPatience);
            try
            {
                await filler.ConnectAsync(IPAddress.Loopback, Port, patience.Token);
            }
            catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
            {
                return;
            }
        }
    }

    /// <summary>Ends every fault: see <see cref="Fault"/> for what becomes of the connections that had one.</summary>
    public void Heal()
    {
        FaultChannel[] live;
        lock (_gate)
        {
            _forLater = default;
            live = [.. _channels];
            _fillers.ForEach(static filler => filler.Dispose());
            if (_fillers.Count > 0)
            {
                _fillers.Clear();
                StopListening();
            }

            if (_listener is null)
            {
                Listen();
            }
        }

        foreach (FaultChannel channel in live)
        {
            channel.Heal();
        }
    }

    public async ValueTask DisposeAsync()
    {
        FaultChannel[] live;
        Task[] running;
        lock (_gate)
        {
            StopListening();
            _fillers.ForEach(static filler => filler.Dispose());
            live = [.. _channels];
            running = [.. _running];
        }

        foreach (FaultChannel channel in live)
        {
            channel.Abort();
        }

        await Task.WhenAll(running);
    }

    private Socket NewListener(int backlog)
    {
        long start = Stopwatch.GetTimestamp();
        while (true)
        {
            // Bind sets SO_REUSEADDR, so the connections of an earlier listener do not hold the port.
            Socket listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                listener.Bind(new IPEndPoint(IPAddress.Loopback, Port));
                listener.Listen(backlog);
                return listener;
            }
            catch (SocketException e) when (e.SocketErrorCode == SocketError.AddressAlreadyInUse && Stopwatch.GetElapsedTime(start) < RebindPatience)
            {
                // The earlier listener is disposed, but a thread in its accept still keeps the descriptor for a moment.
                listener.Dispose();
                Thread.Sleep(1);
            }
        }
    }

    /// <summary>Under the gate, or in the constructor.</summary>
    private void Listen()
    {
        Socket listener = _listener = NewListener(backlog: 512);
        _running.RemoveAll(static task => task.IsCompleted);
        _running.Add(Task.Run(() => AcceptAsync(listener)));
    }

    /// <summary>Under the gate.</summary>
    private void StopListening()
    {
        _listener?.Dispose();
        _listener = null;
    }

    private async Task AcceptAsync(Socket listener)
    {
        while (true)
        {
            Socket client;
            try
            {
                client = await listener.AcceptAsync();
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                return;
            }

            client.NoDelay = true;
            Interlocked.Increment(ref _accepted);
            FaultChannel channel = new(client);
            lock (_gate)
            {
                _channels.Add(channel);
                if (_forLater.Fault != Fault.None)
                {
                    channel.Order(_forLater);
                }

                _running.RemoveAll(static task => task.IsCompleted);
                _running.Add(Task.Run(() => RunAsync(channel)));
            }
        }
    }

    private async Task RunAsync(FaultChannel channel)
    {
        try
        {
            await channel.RunAsync(_server);
        }
        finally
        {
            lock (_gate)
            {
                _channels.Remove(channel);
            }
        }
    }
}
