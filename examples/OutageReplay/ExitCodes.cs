namespace OutageReplay;

internal static class ExitCodes
{
    /// <summary>The outage came where it must and the pool had no failure.</summary>
    public const int Proved = 0;

    public const int Failed = 1;

    public const int BadArguments = 2;
}
