using System.Net.Sockets;

namespace OutageReplay.Acts;

/// <summary>Counts what came of the requests. Thread-safe.</summary>
internal sealed class Scoreboard
{
    private readonly Lock _lock = new();
    private readonly List<TimeSpan> _latencies = [];
    private int _failed;
    private FirstFailure? _firstFailure;

    public (int Succeeded, int Failed, FirstFailure? FirstFailure) Read()
    {
        lock (_lock)
        {
            return (_latencies.Count, _failed, _firstFailure);
        }
    }

    public void Succeeded(TimeSpan latency)
    {
        lock (_lock)
        {
            _latencies.Add(latency);
        }
    }

    public void Failed(int number, Exception exception)
    {
        lock (_lock)
        {
            _failed++;
            // By number, not by time: failures of one burst may be reported out of order.
            if (_firstFailure is null || number < _firstFailure.Request)
            {
                _firstFailure = new FirstFailure(number, Describe(exception));
            }
        }
    }

    /// <summary>The latency in microseconds that <paramref name="share"/> of the successful requests did not exceed.</summary>
    public double? Percentile(double share)
    {
        lock (_lock)
        {
            if (_latencies.Count == 0)
            {
                return null;
            }

            TimeSpan[] sorted = [.. _latencies.Order()];
            int rank = (int)Math.Ceiling(share * sorted.Length);
            return Math.Round(sorted[rank - 1].TotalMicroseconds, 1);
        }
    }

    private static string Describe(Exception exception)
    {
        Exception cause = exception.GetBaseException();
        return cause is SocketException socket
            ? $"{socket.SocketErrorCode} (errno {socket.NativeErrorCode}): {socket.Message}"
            : $"{exception.GetType().Name}: {exception.Message}";
    }
}
