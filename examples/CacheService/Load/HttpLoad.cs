using System.Diagnostics;

namespace CacheService.Load;

/// <summary>Of ten requests seven read, two write and one counts.</summary>
internal sealed class HttpLoad : IDisposable
{
    private const int Keys = 100;

    private readonly HttpClient _http;
    private readonly byte[] _value;
    private readonly TimeSpan _pause;

    public HttpLoad(Uri url, int valueBytes, TimeSpan pause)
    {
        // Without a limit of its own: the connections that are scarce are those behind the service.
        _http = new HttpClient(new SocketsHttpHandler { ActivityHeadersPropagator = null }) { BaseAddress = url };
        _value = new byte[valueBytes];
        Random.Shared.NextBytes(_value);
        _pause = pause;
    }

    public async Task<LoadReport> RunAsync(int callers, TimeSpan duration, CancellationToken cancellationToken)
    {
        long start = Stopwatch.GetTimestamp();
        using var end = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        end.CancelAfter(duration);
        List<LoadSample>[] samples = await Task.WhenAll(Enumerable.Range(0, callers).Select(number => Task.Run(() => CallAsync(number, end.Token), CancellationToken.None)));
        return new LoadReport(callers, Stopwatch.GetElapsedTime(start), [.. samples.SelectMany(static sample => sample)]);
    }

    public void Dispose() => _http.Dispose();

    private async Task<List<LoadSample>> CallAsync(int number, CancellationToken end)
    {
        var samples = new List<LoadSample>();
        for (long i = number; !end.IsCancellationRequested; i++)
        {
            using HttpRequestMessage request = NewRequest(i % 10);
            string asked = $"{request.Method} {request.RequestUri}";

            // The trace is begun here, so that the slowest ones can be named below.
            var trace = ActivityTraceId.CreateRandom();
            request.Headers.Add("traceparent", $"00-{trace.ToHexString()}-{ActivitySpanId.CreateRandom().ToHexString()}-01");
            long start = Stopwatch.GetTimestamp();
            try
            {
                using HttpResponseMessage response = await _http.SendAsync(request, end);
                samples.Add(new LoadSample(Stopwatch.GetElapsedTime(start), $"{(int)response.StatusCode} {response.StatusCode}", asked, trace));

                // Who comes again at once keeps an overloaded service busy with refusing.
                await Task.Delay(response.Headers.RetryAfter?.Delta ?? _pause, end);
            }
            catch (HttpRequestException exception)
            {
                samples.Add(new LoadSample(Stopwatch.GetElapsedTime(start), $"no answer: {exception.HttpRequestError}", asked, trace));

                // The service is away: asking at full speed would keep it so.
                await Task.Delay(100, CancellationToken.None);
            }
            catch (OperationCanceledException)
            {
                // The time is up.
            }
        }

        return samples;
    }

    private HttpRequestMessage NewRequest(long kind)
    {
        int key = Random.Shared.Next(Keys);
        return kind switch
        {
            0 => new HttpRequestMessage(HttpMethod.Post, $"/counter/visits-{key}"),
            1 or 2 => new HttpRequestMessage(HttpMethod.Put, $"/cache/item-{key}") { Content = new ByteArrayContent(_value) },
            _ => new HttpRequestMessage(HttpMethod.Get, $"/cache/item-{key}"),
        };
    }
}

/// <summary>One request and what became of it.</summary>
internal readonly record struct LoadSample(TimeSpan Took, string Outcome, string Request, ActivityTraceId Trace);
