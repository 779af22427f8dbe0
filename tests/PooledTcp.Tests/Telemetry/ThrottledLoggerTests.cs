using Microsoft.Extensions.Logging;
using PooledTcp.Telemetry;
using PooledTcp.Tests.Fakes;
using Xunit;

namespace PooledTcp.Tests.Telemetry;

/// <summary>One line a second for each kind of event, and none is lost from the count.</summary>
public sealed class ThrottledLoggerTests
{
    private readonly RecordingLogger _lines = new();
    private readonly FakeTime _time = new();
    private readonly ThrottledLogger _log;

    public ThrottledLoggerTests() => _log = new ThrottledLogger(_lines, _time);

    [Fact]
    public void The_first_of_a_kind_passes_as_it_is()
    {
        PoolLog.Opened(_log, "cache", 7);
        RecordingLogger.Entry line = _lines.Single("pooled_tcp.connection.opened");
        Assert.Equal((1, LogLevel.Debug, "Pool cache: connection 7 opened."), (line.Id, line.Level, line.Text));
        Assert.Equal(["Pool", "ConnectionId", "{OriginalFormat}"], line.Fields.Select(static f => f.Key));
    }

    [Fact]
    public void A_storm_is_one_line_a_second_which_tells_how_many_more_there_were()
    {
        for (int second = 0; second < 3; second++)
        {
            for (int i = 0; i < 10; i++)
            {
                PoolLog.Opened(_log, "cache", i);
                _time.Advance(ThrottledLogger.Interval / 10);
            }
        }

        IReadOnlyList<RecordingLogger.Entry> lines = _lines.All("pooled_tcp.connection.opened");
        Assert.Equal([0, 9, 9], lines.Select(static line => line.Suppressed));
        Assert.Equal("Pool cache: connection 0 opened. (9 more since the last such line)", lines[1].Text);
        Assert.Equal(["Pool", "ConnectionId", "Suppressed", "{OriginalFormat}"], lines[1].Fields.Select(static f => f.Key));
        Assert.Equal("Pool {Pool}: connection {ConnectionId} opened.", lines[1]["{OriginalFormat}"]);
        Assert.Equal("cache", lines[1]["Pool"]);
    }

    [Fact]
    public void A_second_is_a_whole_one()
    {
        PoolLog.Opened(_log, "cache", 1);
        _time.Advance(ThrottledLogger.Interval - TimeSpan.FromTicks(1));
        PoolLog.Opened(_log, "cache", 2);
        Assert.Equal(1, _lines.Count("pooled_tcp.connection.opened"));
        _time.Advance(TimeSpan.FromTicks(1));
        PoolLog.Opened(_log, "cache", 3);
        Assert.Equal(2, _lines.Count("pooled_tcp.connection.opened"));
    }

    [Fact]
    public void One_kind_takes_nothing_from_another()
    {
        PoolLog.BreakerOpened(_log, "cache", 5);
        PoolLog.BreakerClosed(_log, "cache");
        PoolLog.BreakerOpened(_log, "cache", 5);
        Assert.Equal(1, _lines.Count("pooled_tcp.breaker.opened"));
        Assert.Equal(1, _lines.Count("pooled_tcp.breaker.closed"));
    }

    [Fact]
    public void An_exception_goes_with_its_line()
    {
        PoolLog.DialFailed(_log, new IOException("first"), "cache");
        PoolLog.DialFailed(_log, new IOException("second"), "cache");
        _time.Advance(ThrottledLogger.Interval);
        PoolLog.DialFailed(_log, new IOException("third"), "cache");
        Assert.Equal(["first", "third"], _lines.All("pooled_tcp.connection.dial_failed").Select(static line => line.Exception?.Message));
    }

    [Fact]
    public void A_level_that_is_off_costs_no_look_at_the_clock()
    {
        _lines.Level = LogLevel.Information;
        long before = _time.Readings;
        PoolLog.Opened(_log, "cache", 1);

        // As one would that does not ask first.
        _log.Log(LogLevel.Debug, new EventId(1), "text", null, static (text, _) => text);
        Assert.Equal(before, _time.Readings);

        // Nor does it count: nobody wanted to know.
        _lines.Level = LogLevel.Debug;
        PoolLog.Opened(_log, "cache", 2);
        Assert.Equal(0, _lines.Single("pooled_tcp.connection.opened").Suppressed);
    }

    [Fact]
    public async Task Whoever_races_every_line_passes_or_is_counted_once()
    {
        const int Threads = 4;
        const int Each = 20_000;
        using Barrier start = new(Threads);
        await Task.WhenAll(Enumerable.Range(0, Threads).Select(thread => Task.Factory.StartNew(
            () =>
            {
                start.SignalAndWait();
                for (int i = 0; i < Each; i++)
                {
                    PoolLog.Opened(_log, "cache", i);
                    if (thread == 0 && i % 100 == 0)
                    {
                        _time.Advance(ThrottledLogger.Interval);
                    }
                }
            },
            TestContext.Current.CancellationToken,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default)));

        _time.Advance(ThrottledLogger.Interval);
        PoolLog.Opened(_log, "cache", 0);
        IReadOnlyList<RecordingLogger.Entry> lines = _lines.All("pooled_tcp.connection.opened");
        Assert.Equal((Threads * Each) + 1, lines.Count + lines.Sum(static line => line.Suppressed));
        Assert.InRange(lines.Count, 2, (Each / 100) + 2);
    }

    [Fact]
    public void Text_without_fields_keeps_its_text()
    {
        for (int i = 0; i < 2; i++)
        {
            _log.Log(LogLevel.Warning, new EventId(9, "e"), 42, null, static (number, _) => $"it is {number}");
            _log.Log(LogLevel.Warning, new EventId(9, "e"), 42, null, static (number, _) => $"it is {number}");
            _time.Advance(ThrottledLogger.Interval);
        }

        Assert.Equal(["it is 42", "it is 42 (1 more since the last such line)"], _lines.All("e").Select(static line => line.Text));
        Assert.Equal(1, _lines.All("e")[1].Suppressed);
    }
}
