namespace PooledTcp.Ports;

/// <summary>
/// A dial found no local port, on any of the addresses it could use. The pool catches it: the caller goes on waiting for a
/// returned connection or a freed port, within its deadline.
/// </summary>
internal sealed class NoLocalPortException(string census, Exception? inner) : IOException($"No local port is free: {census}", inner);
