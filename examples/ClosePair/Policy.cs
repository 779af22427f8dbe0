namespace ClosePair;

internal enum Policy
{
    KestrelAlone,
    ServerFirst,
    ClientFirst,
}
