using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text.Json;
using OutageReplay;
using OutageReplay.Processes;
using PooledTcp.LoadTest.Contenders;
using PooledTcp.LoadTest.Servers;

namespace PooledTcp.LoadTest.Scenarios;

/// <summary>Who holds the idle connections.</summary>
internal enum Holder
{
    /// <summary>Descriptors without any object: what the kernel alone costs.</summary>
    Descriptors,

    /// <summary>Sockets that have served one async exchange.</summary>
    Sockets,

    /// <summary>The pool, whose connections have done the same.</summary>
    PooledTcp,
}

/// <summary>What one holder cost.</summary>
/// <param name="BytesEach">Managed memory for each connection, after a full collection.</param>
/// <param name="BytesEachCancellable">The same after an exchange that could have been cancelled.</param>
/// <param name="CpuMilliseconds">Of CPU time in each second, while nothing happens; one value for each window.</param>
/// <param name="ClosedInTurns">Healthy ones that the pool closed in as many further turns as there are connections.</param>
/// <param name="NoticedSeconds">From the order that all be closed by their peer until the pool had closed all.</param>
/// <param name="NoticedAfterLastSeconds">From the peer's last FIN on.</param>
internal sealed record Held(double BytesEach, double BytesEachCancellable, double[] CpuMilliseconds, long ClosedInTurns, double NoticedSeconds, double NoticedAfterLastSeconds);

/// <summary>The child's side of <see cref="IdleScenario"/>: one holder in a process of its own, so that neither heap nor CPU time is anybody else's.</summary>
internal static partial class IdleHost
{
    public const string Verb = "--hold";

    // A pool is quiet when nothing was lent between two sweeps, which are 4.5 s apart.
    private static readonly TimeSpan Settled = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    /// <param name="arguments">Holder, server, its control port, connections, windows, seconds of each.</param>
    public static async Task<int> RunAsync(string[] arguments)
    {
        using Lifeline lifeline = Lifeline.Hold();
        try
        {
            Holder holder = Enum.Parse<Holder>(arguments[0]);
            IPEndPoint server = IPEndPoint.Parse(arguments[1]);
            int[] numbers = [.. arguments[2..].Select(static text => int.Parse(text, CultureInfo.InvariantCulture))];
            Plan plan = new(server, numbers[0], numbers[1], numbers[2], TimeSpan.FromSeconds(numbers[3]));
            Held held = holder == Holder.PooledTcp ? await HoldPooledAsync(plan) : await HoldBareAsync(plan, holder);
            Console.WriteLine(JsonSerializer.Serialize(held));
            return ExitCodes.Proved;
        }
        catch (Exception e) when (!lifeline.Cut.IsCancellationRequested)
        {
            await Console.Error.WriteLineAsync(e.Message);
            return ExitCodes.Failed;
        }
    }

    private static async Task<Held> HoldBareAsync(Plan plan, Holder holder)
    {
        byte[] buffer = new byte[Wire.PayloadLength];
        List<Socket> sockets = new(plan.Connections);
        int[] descriptors = new int[plan.Connections];
        using (Socket warm = await SocketContender.ConnectAsync(plan.Server))
        {
            await Wire.Echo.ExchangeAsync(warm, buffer);
        }

        long before = GC.GetTotalMemory(forceFullCollection: true);
        for (int i = 0; i < plan.Connections; i++)
        {
            Socket socket = await SocketContender.ConnectAsync(plan.Server);
            await Wire.Echo.ExchangeAsync(socket, buffer);
            if (holder == Holder.Sockets)
            {
                sockets.Add(socket);
            }
            else
            {
                descriptors[i] = Duplicate(socket.SafeHandle);
                socket.Dispose();
            }
        }

        double bytes = BytesEach(before, plan);
        double[] cpu = await IdleAsync(plan);
        using CancellationTokenSource never = new();
        foreach (Socket socket in sockets)
        {
            await Wire.Echo.ExchangeAsync(socket, buffer, never.Token);
        }

        Held held = new(bytes, BytesEach(before, plan), cpu, 0, 0, 0);
        GC.KeepAlive(sockets);
        GC.KeepAlive(descriptors);
        return held;
    }

    private static async Task<Held> HoldPooledAsync(Plan plan)
    {
        await using PooledTcpClient client = new(new PooledTcpOptions().AddEndpoint("server", endpoint =>
        {
            endpoint.Address = $"{plan.Server}";
            endpoint.MaxConnections = plan.Connections;
            endpoint.MaxConnecting = 64;

            // Kept although nobody needs them; the rest of the upkeep goes on as by default.
            endpoint.RetentionPeriod = Timeout.InfiniteTimeSpan;
        }));
        TcpPool pool = client.GetPool("server");
        await UseAllAsync(pool, 1);

        // The first close takes 50 ms to compile.
        await ServerProcess.CloseAllAsync(plan.ControlPort);
        await UntilClosedAsync(pool);
        await UseAllAsync(pool, 1);
        long before = GC.GetTotalMemory(forceFullCollection: true);
        await pool.WarmUpAsync(plan.Connections);
        await UseAllAsync(pool, plan.Connections);
        double bytes = BytesEach(before, plan);
        double[] cpu = await IdleAsync(plan);

        await UseAllAsync(pool, plan.Connections);
        TcpPoolSnapshot turned = pool.GetSnapshot();
        long closedInTurns = turned.Closed + turned.Closing - 1;
        using (CancellationTokenSource never = new())
        {
            await UseAllAsync(pool, plan.Connections, never.Token);
        }

        double cancellable = BytesEach(before, plan);

        long start = Stopwatch.GetTimestamp();
        await ServerProcess.CloseAllAsync(plan.ControlPort);
        long last = Stopwatch.GetTimestamp();
        await UntilClosedAsync(pool);
        return new Held(
            bytes, cancellable, cpu, closedInTurns, Stopwatch.GetElapsedTime(start).TotalSeconds, Stopwatch.GetElapsedTime(last).TotalSeconds);
    }

    private static async Task UntilClosedAsync(TcpPool pool)
    {
        long start = Stopwatch.GetTimestamp();
        while (pool.GetSnapshot() is { } now && now.Created > now.Closed)
        {
            if (Stopwatch.GetElapsedTime(start) > Patience)
            {
                throw new LoadTestException($"{now.Idle} connections are idle and {now.Closing} closing {Patience.TotalSeconds} s after their peer closed them.");
            }

            // A snapshot walks all connections under the pool's lock: not so often that it is what is measured.
            await Task.Delay(5);
        }
    }

    /// <summary>All out at the same time, so that each serves one request.</summary>
    private static async Task UseAllAsync(TcpPool pool, int connections, CancellationToken cancellationToken = default)
    {
        byte[] buffer = new byte[Wire.PayloadLength];
        TcpLease[] leases = new TcpLease[connections];
        for (int i = 0; i < connections; i++)
        {
            leases[i] = await pool.RentAsync(cancellationToken);
            await leases[i].SendAsync(Wire.Echo.Request, cancellationToken);
            for (int received = 0; received < buffer.Length;)
            {
                int count = await leases[i].ReceiveAsync(buffer.AsMemory(received), cancellationToken);
                received += count > 0 ? count : throw new EndOfStreamException("The server closed before it had answered.");
            }

            leases[i].Complete();
        }

        Array.ForEach(leases, static lease => lease.Dispose());
    }

    private static double BytesEach(long before, Plan plan) =>
        (double)(GC.GetTotalMemory(forceFullCollection: true) - before) / plan.Connections;

    private static async Task<double[]> IdleAsync(Plan plan)
    {
        await Task.Delay(Settled);
        double[] windows = new double[plan.Windows];
        for (int i = 0; i < windows.Length; i++)
        {
            TimeSpan cpu = Environment.CpuUsage.TotalTime;
            long start = Stopwatch.GetTimestamp();
            await Task.Delay(plan.Window);
            windows[i] = (Environment.CpuUsage.TotalTime - cpu).TotalMilliseconds / Stopwatch.GetElapsedTime(start).TotalSeconds;
        }

        return windows;
    }

    private static int Duplicate(SafeHandle socket)
    {
        int duplicate = Dup(socket);
        return duplicate >= 0 ? duplicate : throw new LoadTestException($"dup: errno {Marshal.GetLastPInvokeError()}");
    }

    [LibraryImport("libc", EntryPoint = "dup", SetLastError = true)]
    private static partial int Dup(SafeHandle descriptor);

    private sealed record Plan(IPEndPoint Server, int ControlPort, int Connections, int Windows, TimeSpan Window);
}
