using Microsoft.Extensions.DependencyInjection;

namespace PooledTcp;

/// <summary>What <c>AddPooledTcp</c> returns: the place to add endpoints.</summary>
public interface IPooledTcpBuilder
{
    /// <summary>Where everything is registered.</summary>
    IServiceCollection Services { get; }
}

/// <summary>What <c>AddEndpoint</c> returns: the place to give one endpoint what only code can give.</summary>
public interface ITcpEndpointBuilder : IPooledTcpBuilder
{
    /// <summary>Name of the endpoint.</summary>
    string Name { get; }
}
