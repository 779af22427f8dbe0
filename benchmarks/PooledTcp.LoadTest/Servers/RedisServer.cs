using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using PooledTcp.LoadTest.Contenders;

namespace PooledTcp.LoadTest.Servers;

/// <summary>redis-server from the PATH, without persistence, holding one value of 64 bytes. We hold it on behalf of the one who measures.</summary>
internal static class RedisServer
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    /// <param name="port">Where it listens.</param>
    /// <param name="started">Told its id when it serves.</param>
    /// <param name="cut">Ends it.</param>
    public static async Task RunAsync(int port, Action<int> started, CancellationToken cut)
    {
        using Process redis = Process.Start(new ProcessStartInfo(
            "redis-server",
            ["--bind", "127.0.0.1", "--port", port.ToString(CultureInfo.InvariantCulture), "--save", "", "--appendonly", "no", "--logfile", "/dev/null"])
        {
            WorkingDirectory = Path.GetTempPath(),
        })!;
        try
        {
            await FillAsync(new IPEndPoint(IPAddress.Loopback, port), cut);
            started(redis.Id);
            await redis.WaitForExitAsync(cut);
            throw new LoadTestException($"redis-server ended by itself with {redis.ExitCode}.");
        }
        finally
        {
            redis.Kill();
        }
    }

    private static async Task FillAsync(IPEndPoint endPoint, CancellationToken cut)
    {
        long start = Stopwatch.GetTimestamp();
        while (true)
        {
            try
            {
                using Socket socket = await SocketContender.ConnectAsync(endPoint);
                await socket.SendAsync(System.Text.Encoding.ASCII.GetBytes(
                    $"*3\r\n$3\r\nSET\r\n${Wire.Key.Length}\r\n{Wire.Key}\r\n${Wire.PayloadLength}\r\n{new string('x', Wire.PayloadLength)}\r\n"));
                byte[] ok = new byte[5];
                await socket.ReceiveAsync(ok);
                return;
            }
            catch (SocketException) when (Stopwatch.GetElapsedTime(start) < Patience)
            {
                await Task.Delay(20, cut);
            }
        }
    }
}
