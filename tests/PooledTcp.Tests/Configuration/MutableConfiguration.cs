using System.Text;
using Microsoft.Extensions.Configuration;

namespace PooledTcp.Tests.Configuration;

/// <summary>A configuration whose whole content is replaced, as when a file is saved; the change token fires each time.</summary>
internal sealed class MutableConfiguration
{
    private readonly Provider _provider = new();

    public MutableConfiguration(params string[] lines)
    {
        Set(lines);
        var root = new ConfigurationBuilder();
        root.Add(_provider);
        Root = root.Build();
    }

    public IConfigurationRoot Root { get; }

    public IConfigurationSection Section => Root.GetSection("PooledTcp");

    public void Set(params string[] lines) => _provider.Replace(Bound.Pairs(lines));

    public void SetJson(string json)
    {
        using var stream = new MemoryStream(Encoding.UTF8.GetBytes(json));
        _provider.Replace(new ConfigurationBuilder().AddJsonStream(stream).Build().AsEnumerable().ToDictionary());
    }

    private sealed class Provider : ConfigurationProvider, IConfigurationSource
    {
        public void Replace(Dictionary<string, string?> data)
        {
            Data = new Dictionary<string, string?>(data, StringComparer.OrdinalIgnoreCase);
            OnReload();
        }

        public IConfigurationProvider Build(IConfigurationBuilder builder) => this;
    }
}
