using System.Net;

namespace PooledTcp.Tests.Fakes;

/// <summary>A name server that answers at once with what the test last said, and counts.</summary>
internal sealed class FakeResolver(params string[] addresses)
{
    private volatile string[] _addresses = addresses;
    private int _lookups;

    public int Lookups => Volatile.Read(ref _lookups);

    /// <summary>What a lookup fails with instead.</summary>
    public Exception? Fault { get; set; }

    /// <summary>What a lookup waits for instead.</summary>
    public Task<IPAddress[]>? Answer { get; set; }

    public IReadOnlyList<string> Addresses => _addresses;

    public void MoveTo(params string[] addresses) => _addresses = addresses;

    public Task<IPAddress[]> ResolveAsync(string host, CancellationToken cancellationToken)
    {
        Interlocked.Increment(ref _lookups);
        return Fault is { } fault ? Task.FromException<IPAddress[]>(fault) : Answer ?? Task.FromResult<IPAddress[]>([.. _addresses.Select(IPAddress.Parse)]);
    }
}
