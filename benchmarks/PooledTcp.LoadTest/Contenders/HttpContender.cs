using System.Net;
using PooledTcp.LoadTest.Servers;
using PooledTcp.LoadTest.Statistics;

namespace PooledTcp.LoadTest.Contenders;

/// <summary>SocketsHttpHandler, HTTP/1.1: the best pool that .NET has, with a protocol of its own on top.</summary>
internal sealed class HttpContender(string name, IPEndPoint server, int connections) : Contender(name)
{
    public const string OnKestrel = "SocketsHttpHandler, Kestrel";

    private readonly Uri _uri = new($"http://{server}/");
    private readonly HttpMessageInvoker _http = new(new SocketsHttpHandler
    {
        MaxConnectionsPerServer = connections,
        UseProxy = false,
        UseCookies = false,
        AllowAutoRedirect = false,
        ActivityHeadersPropagator = null,
    });

    public override async Task WorkAsync(Worker worker)
    {
        byte[] buffer = new byte[Wire.PayloadLength];
        while (worker.Goes)
        {
            await RequestAsync(buffer);
            worker.Done();
        }
    }

    public async Task RequestAsync(byte[] buffer)
    {
        using HttpRequestMessage request = new(HttpMethod.Post, _uri) { Content = new ByteArrayContent(Wire.Echo.Request) };
        using HttpResponseMessage response = await _http.SendAsync(request, CancellationToken.None);
        using Stream body = await response.Content.ReadAsStreamAsync();
        await body.ReadExactlyAsync(buffer);
    }

    protected override ValueTask CloseAsync()
    {
        _http.Dispose();
        return default;
    }
}
