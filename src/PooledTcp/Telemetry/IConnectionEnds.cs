using System.Net;

namespace PooledTcp.Telemetry;

/// <summary>From where to where a connection leads.</summary>
internal interface IConnectionEnds
{
    /// <summary>Its own end; null when unknown.</summary>
    EndPoint? LocalEndPoint { get; }

    /// <summary>The end that was dialed; null when unknown.</summary>
    EndPoint? RemoteEndPoint { get; }
}
