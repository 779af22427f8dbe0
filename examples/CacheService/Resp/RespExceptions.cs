namespace CacheService.Resp;

/// <summary>The server answered with an error. The exchange ended cleanly, and so its connection was returned.</summary>
internal sealed class RespErrorException(string message) : Exception(message)
{
    /// <summary>Its first word: <c>ERR</c>, <c>WRONGTYPE</c>, <c>OOM</c> ...</summary>
    public string Code => Message.Split(' ', 2)[0];

    /// <summary>An INCR of something that is no counter.</summary>
    public bool IsNotANumber => Code == "WRONGTYPE" || Message.Contains("not an integer", StringComparison.OrdinalIgnoreCase);
}

/// <summary>What arrived is not RESP, or not in step with what was asked: the connection was closed.</summary>
internal sealed class RespProtocolException(string message) : Exception(message);
