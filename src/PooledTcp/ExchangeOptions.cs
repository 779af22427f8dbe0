namespace PooledTcp;

/// <summary>What <see cref="TcpPool"/>'s <c>ExecuteAsync</c> may do with an exchange whose connection fails under it.</summary>
public readonly record struct ExchangeOptions
{
    /// <summary>
    /// True when the server may carry the exchange out twice without harm (a read, a SET; not an INCR). Then it is sent
    /// again on a new connection if a reused one fails before the first reply byte, even after the request was sent.
    /// False by default: only an exchange that had not begun to send is run again.
    /// </summary>
    public bool Idempotent { get; init; }
}
