using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Runtime.CompilerServices;
using Xunit;

namespace PooledTcp.AspNetCoreTests;

/// <summary>What the kernel keeps of the connections to one server, on either side; the sides are told apart by the local port.</summary>
internal sealed record Kernel(int ClientTimeWait, int ServerTimeWait, int ServerFinWait2, int Live)
{
    private const int FinWait2 = 5;
    private const int TimeWait = 6;
    private const int Listen = 10;

    public static Kernel Read(IPEndPoint server)
    {
        var view = new Kernel(0, 0, 0, 0);
        foreach (var (local, remote, state) in Entries())
        {
            if (state != Listen && local == server.Port)
            {
                view = state switch
                {
                    TimeWait => view with { ServerTimeWait = view.ServerTimeWait + 1 },
                    FinWait2 => view with { ServerFinWait2 = view.ServerFinWait2 + 1 },
                    _ => view with { Live = view.Live + 1 },
                };
            }
            else if (remote == server.Port)
            {
                view = state == TimeWait ? view with { ClientTimeWait = view.ClientTimeWait + 1 } : view with { Live = view.Live + 1 };
            }
        }

        return view;
    }

    /// <summary>
    /// A port nobody uses just now, below those that clients are given: a client's TIME_WAIT on a later server's port would be
    /// counted as that server's.
    /// </summary>
    public static int FreePort()
    {
        while (true)
        {
            var port = Random.Shared.Next(10_000, 32_768);
            if (!OperatingSystem.IsLinux() || !Entries().Any(entry => entry.Local == port || entry.Remote == port))
            {
                return port;
            }
        }
    }

    /// <summary>What the client's kernel has not got acknowledged yet. At 0, all it sent has arrived.</summary>
    public static int Unacknowledged(IPEndPoint client) =>
        File.ReadLines("/proc/net/tcp").Skip(1).Select(line => line.Split(' ', 6, StringSplitOptions.RemoveEmptyEntries))
            .Where(fields => Port(fields[1]) == client.Port).Sum(fields => Hex(fields[4][..fields[4].IndexOf(':')]));

    /// <summary>Waits, half a minute at most, until the view is as expected.</summary>
    public static Task ExpectAsync(IPEndPoint server, Kernel expected) => ExpectAsync(server, view => view == expected, expected.ToString());

    public static async Task ExpectAsync(
        IPEndPoint server, Func<Kernel, bool> expected, [CallerArgumentExpression(nameof(expected))] string text = "")
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Reads /proc/net/tcp.");
        var start = Stopwatch.GetTimestamp();
        Kernel first = Read(server), view = first;
        while (!expected(view) && Stopwatch.GetElapsedTime(start) < TimeSpan.FromSeconds(30))
        {
            await Task.Delay(20, Patience.Token);
            view = Read(server);
        }

        Assert.True(expected(view), $"expected {text}, it was {first} and is {view}");
    }

    private static IEnumerable<(int Local, int Remote, int State)> Entries() =>
        from file in (string[])["/proc/net/tcp", "/proc/net/tcp6"]
        where File.Exists(file)
        from line in File.ReadLines(file).Skip(1)
        let fields = line.Split(' ', 5, StringSplitOptions.RemoveEmptyEntries)
        select (Port(fields[1]), Port(fields[2]), Hex(fields[3]));

    private static int Port(string address) => Hex(address[(address.LastIndexOf(':') + 1)..]);

    private static int Hex(string text) => int.Parse(text, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
}
