using System.Globalization;
using System.Net;
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
        foreach (var line in File.ReadLines("/proc/net/tcp").Skip(1))
        {
            var fields = line.Split(' ', 5, StringSplitOptions.RemoveEmptyEntries);
            var (local, remote, state) = (Port(fields[1]), Port(fields[2]), Hex(fields[3]));
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

    /// <summary>The view once it is as expected, or what it still is after five seconds.</summary>
    public static async Task ExpectAsync(IPEndPoint server, Kernel expected)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Reads /proc/net/tcp.");
        for (var tries = 0; tries < 250 && Read(server) != expected; tries++)
        {
            await Task.Delay(20, TestContext.Current.CancellationToken);
        }

        Assert.Equal(expected, Read(server));
    }

    private static int Port(string address) => Hex(address[(address.LastIndexOf(':') + 1)..]);

    private static int Hex(string text) => int.Parse(text, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
}
