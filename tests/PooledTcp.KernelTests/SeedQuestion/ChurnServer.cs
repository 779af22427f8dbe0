using System.Net;
using System.Net.Sockets;
using PooledTcp.KernelTests.Harness;

namespace PooledTcp.KernelTests.SeedQuestion;

/// <summary>Answers every 4 bytes with 4 bytes; closes after its client, or at once when told QUIT. Notes how each connection ended.</summary>
internal sealed class ChurnServer : IDisposable
{
    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private int _opened;
    private int _ends;
    private int _resets;

    public ChurnServer(string address)
    {
        _listener.Bind(new IPEndPoint(IPAddress.Parse(address), Port));
        _listener.Listen(1024);
        _ = AcceptAsync();
    }

    public static int Port => 5001;

    public int Ends => _ends;

    public int Resets => _resets;

    public static ChurnServer Start(string address = NamespaceSettings.Server) => new(address);

    /// <summary>Returns when every connection that was accepted has ended.</summary>
    public Task FinishAsync() => KernelView.UntilAsync(
        () => Volatile.Read(ref _ends) + Volatile.Read(ref _resets) == Volatile.Read(ref _opened), "every connection of the server has ended");

    public void Dispose() => _listener.Dispose();

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                Socket accepted = await _listener.AcceptAsync();
                Interlocked.Increment(ref _opened);
                _ = ServeAsync(accepted);
            }
        }
        catch (SocketException)
        {
            // The listener is closed.
        }
    }

    private async Task ServeAsync(Socket socket)
    {
        bool reset = false;
        using (socket)
        {
            byte[] request = new byte[4];
            try
            {
                while (await ReadAsync(socket, request) && !request.AsSpan().SequenceEqual("QUIT"u8))
                {
                    await socket.SendAsync(request);
                }
            }
            catch (SocketException)
            {
                reset = true;
            }
        }

        // After the socket is closed: who waits for the counts looks at the kernel next.
        Interlocked.Increment(ref reset ? ref _resets : ref _ends);
    }

    /// <summary>False at the end of the stream.</summary>
    private static async Task<bool> ReadAsync(Socket socket, Memory<byte> buffer)
    {
        while (buffer.Length > 0)
        {
            int received = await socket.ReceiveAsync(buffer);
            if (received == 0)
            {
                return false;
            }

            buffer = buffer[received..];
        }

        return true;
    }
}
