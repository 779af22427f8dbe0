using OutageReplay.Acts;
using OutageReplay.Network;

namespace OutageReplay.Output;

/// <summary>What is known of one act so far: the displays' model.</summary>
internal sealed class ActProgress(string title, ActSettings settings)
{
    private static readonly TimeSpan RateWindow = TimeSpan.FromSeconds(1);

    private readonly Queue<ActSample> _lastSecond = new();
    private ActFigures? _figures;

    public string Title { get; } = title;

    public ActSettings Settings { get; } = settings;

    public ActSample Latest { get; private set; } = new(TimeSpan.Zero, 0, 0, PortWindow.Width, 0, 0, null);

    public bool Started => _lastSecond.Count > 0;

    public bool Finished => _figures is not null;

    /// <summary>Successful requests a second, over the last second.</summary>
    public double Rate { get; private set; }

    public ActFigures Figures => _figures ?? throw new InvalidOperationException($"The act '{Title}' is not over.");

    public void Take(ActMessage message)
    {
        switch (message)
        {
            case ActSample sample:
                Take(sample);
                break;
            case ActFinished finished:
                Take(finished);
                break;
        }
    }

    private void Take(ActSample sample)
    {
        _lastSecond.Enqueue(sample);
        while (sample.Elapsed - _lastSecond.Peek().Elapsed > RateWindow)
        {
            _lastSecond.Dequeue();
        }

        ActSample oldest = _lastSecond.Peek();
        TimeSpan span = sample.Elapsed - oldest.Elapsed;
        Rate = span > TimeSpan.Zero ? (sample.Succeeded - oldest.Succeeded) / span.TotalSeconds : 0;
        Latest = sample;
    }

    private void Take(ActFinished finished)
    {
        _figures = finished.Figures;
        Latest = Latest with
        {
            Succeeded = finished.Figures.Requests - finished.Figures.Failed,
            Failed = finished.Figures.Failed,
            FirstFailure = finished.FirstFailure,
            ClientTimeWait = finished.Figures.ClientTimeWait,
            ServerTimeWait = finished.Figures.ServerTimeWait,
        };
    }
}
