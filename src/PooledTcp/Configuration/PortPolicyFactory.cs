using System.Net;
using System.Net.Sockets;
using PooledTcp.Ports;

namespace PooledTcp.Configuration;

/// <summary>Checks from where an endpoint connects, against this host's own ports as well.</summary>
internal static class PortPolicyFactory
{
    private const string Prefix = nameof(TcpEndpointOptions.Ports) + ":";

    // Below are the ports of servers, and binding there takes a privilege.
    private static readonly PortRange Allowed = new(1024, 65535);

    /// <param name="options">What was set.</param>
    /// <param name="address">Where it connects to; null in the defaults, or when it could not be read.</param>
    /// <param name="closesFirst">Who is to close first.</param>
    /// <param name="kernel">This host's settings; asked only when a range is set, or the client is to close first.</param>
    /// <param name="faults">Where faults go.</param>
    public static PortPolicy Create(
        TcpPortOptions options, EndpointAddress? address, ClosesFirst closesFirst, Func<KernelPortSettings> kernel, SettingFaults faults)
    {
        var before = faults.Found;
        var policy = new PortPolicy
        {
            Range = ReadRange(options.Range, faults),
            SourceAddresses = ReadSources(options.SourceAddresses, address, faults),
            TimeWaitShare = options.TimeWaitShare,
            Budget = options.Budget,
        };

        // Written so that NaN fails too.
        if (!(options.TimeWaitShare is >= 0 and <= 1))
        {
            faults.Add(
                Prefix + nameof(options.TimeWaitShare),
                FormattableString.Invariant($"{options.TimeWaitShare} is not in the range 0 to 1. It is a fraction: 0.25 is 25 %."));
        }

        if (options.Budget is { } budget)
        {
            faults.Range(Prefix + nameof(options.Budget), budget, 1, Allowed.Last, "Leave it out (null) for what this host has.");
        }

        if (faults.Found == before)
        {
            // A range that the kernel ignores says nothing about how many ports there are.
            if (policy.Range is not null && policy.FindFault(kernel()) is { } fault)
            {
                faults.Add(Prefix + nameof(options.Range), fault);
            }
            else if (closesFirst == ClosesFirst.Client)
            {
                CheckTokens(policy, kernel(), faults);
            }
        }

        return policy;
    }

    private static PortRange? ReadRange(string? text, SettingFaults faults)
    {
        const string Setting = Prefix + nameof(TcpPortOptions.Range);
        if (text is null)
        {
            return null;
        }

        if (!PortRange.TryParse(text, out var range))
        {
            faults.Add(Setting, text.Split('-') is [var high, var low] && PortRange.TryParse($"{low}-{high}", out var turned)
                ? $"\"{text}\" begins with the highest port: write {turned}."
                : $"\"{text}\" is not a range of ports: write the lowest and the highest one, as in 40000-40999.");
            return null;
        }

        if (!Allowed.Contains(range))
        {
            faults.Add(
                Setting,
                $"{range} is not in the range {Allowed}, and has to share ports with the system's (net.ipv4.ip_local_port_range, by default 32768-60999).");
            return null;
        }

        return range;
    }

    private static List<IPAddress> ReadSources(IList<string> texts, EndpointAddress? address, SettingFaults faults)
    {
        var sources = new List<IPAddress>(texts.Count);
        for (var i = 0; i < texts.Count; i++)
        {
            if (!TryReadSource(texts[i], out var source))
            {
                Add($"\"{texts[i]}\" is not an IP address: write 10.0.0.5 or 2001:db8::5, without a port.");
            }
            else if (source.Equals(IPAddress.Any) || source.Equals(IPAddress.IPv6Any))
            {
                Add($"{source} is the wildcard, which is no address to connect from. Leave the list empty to leave the choice to the system.");
            }
            else if (sources.Contains(source))
            {
                Add($"{source} is in the list twice.");
            }
            else if (sources.Count > 0 && sources[0].AddressFamily != source.AddressFamily)
            {
                Add($"{source} is {Family(source)} and {sources[0]} is {Family(sources[0])}: all addresses of the list have to be of one kind.");
            }
            else if (Unreachable(source))
            {
                Add($"{source} is {Family(source)}, from which {address} cannot be reached.");
            }
            else
            {
                sources.Add(source);
            }

            void Add(string fault) =>
                faults.Add(FormattableString.Invariant($"{Prefix}{nameof(TcpPortOptions.SourceAddresses)}:{i}"), fault);
        }

        return sources;

        // A host name may have addresses of either kind; only a literal settles it.
        bool Unreachable(IPAddress source) =>
            address is { IsUnix: false } && IPAddress.TryParse(address.Value.Host, out var peer) && peer.AddressFamily != source.AddressFamily;
    }

    // Stricter than IPAddress, which takes 127.1, 010.0.0.1 (octal) and [::1]:80.
    private static bool TryReadSource(string text, out IPAddress source)
    {
        var good = IPAddress.TryParse(text, out var ip)
            && (ip.AddressFamily == AddressFamily.InterNetworkV6
                ? !text.StartsWith('[')
                : string.Equals(ip.ToString(), text, StringComparison.Ordinal));
        source = good && ip!.IsIPv4MappedToIPv6 ? ip.MapToIPv4() : ip ?? IPAddress.None;
        return good;
    }

    private static string Family(IPAddress address) => address.AddressFamily == AddressFamily.InterNetwork ? "IPv4" : "IPv6";

    // Closes of ClosesFirst = Client wait for a token. Where not even one exists, they would wait for ever.
    // The ports count that the kernel will really hand out: those of a slice that it knows of, too.
    private static void CheckTokens(PortPolicy policy, KernelPortSettings kernel, SettingFaults faults)
    {
        var usable = policy.BudgetOf(kernel.CountUsable(kernel.Confine(policy.Range)));
        if (policy.TokensOf(usable) == 0)
        {
            faults.Add(
                Prefix + nameof(TcpPortOptions.TimeWaitShare),
                FormattableString.Invariant($"{policy.TimeWaitShare} of {usable:N0} ports is less than one TIME-WAIT, but with ")
                + "Shutdown:ClosesFirst = Client every close needs one.");
        }
    }
}
