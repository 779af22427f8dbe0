namespace PooledTcp.LoadTest.Servers;

/// <summary>Which server a child process is.</summary>
internal enum ServerKind
{
    /// <summary>Gives back what it is sent.</summary>
    Echo,

    /// <summary>HTTP/1.1, as little of it as an echo of 64 bytes needs.</summary>
    BareHttp,

    Kestrel,

    Redis,
}
