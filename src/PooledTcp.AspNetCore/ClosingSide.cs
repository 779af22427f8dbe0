namespace PooledTcp.AspNetCore;

/// <summary>The side whose FIN goes first. The kernel of that side keeps the connection in TIME_WAIT for a minute.</summary>
public enum ClosingSide
{
    /// <summary>The server. Right for few clients that connect often: a TIME_WAIT takes a client's port, and none here.</summary>
    Server,

    /// <summary>The client. Right for very many clients and a server short of kernel memory.</summary>
    Client,
}
