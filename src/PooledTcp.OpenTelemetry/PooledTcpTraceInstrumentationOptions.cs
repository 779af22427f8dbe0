namespace PooledTcp;

/// <summary>Which spans <c>AddPooledTcpInstrumentation()</c> collects beside those of the callers.</summary>
public sealed class PooledTcpTraceInstrumentationOptions
{
    /// <summary>
    /// Whether the pool's own work on its connections is collected: <c>connection_setup</c>, <c>health_check</c> and
    /// <c>connection_close</c>, from the source <c>Experimental.PooledTcp.Connections</c>.
    /// </summary>
    /// <remarks>
    /// Each is the root of a trace of its own, because it outlives the caller it was begun for, and the spans of callers
    /// link to them: without these, a link leads nowhere. A sampler decides about each trace by itself, so with one that
    /// keeps a tenth, a tenth of the links lead somewhere. "Experimental" is about names and tags, which may still change.
    /// </remarks>
    /// <value>True by default.</value>
    public bool ConnectionSpans { get; set; } = true;

    /// <summary>
    /// Whether .NET's spans of name lookups, socket connects and TLS handshakes are collected, which nest under
    /// <c>connection_setup</c>: the sources <c>Experimental.System.Net.NameResolution</c>,
    /// <c>Experimental.System.Net.Sockets</c> and <c>Experimental.System.Net.Security</c>.
    /// </summary>
    /// <remarks>They report every lookup, connect and handshake of the process, those of HttpClient and others included.</remarks>
    /// <value>False by default.</value>
    public bool NetworkSpans { get; set; }
}
