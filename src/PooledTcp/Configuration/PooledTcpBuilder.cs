using Microsoft.Extensions.DependencyInjection;

namespace PooledTcp.Configuration;

internal sealed record PooledTcpBuilder(IServiceCollection Services) : IPooledTcpBuilder;

internal sealed record TcpEndpointBuilder(IServiceCollection Services, string Name) : ITcpEndpointBuilder;
