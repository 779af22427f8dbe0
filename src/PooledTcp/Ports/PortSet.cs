using System.Numerics;

namespace PooledTcp.Ports;

/// <summary>A set of ports as a bitmap: 8 KB however many it holds, so that a census allocates nothing per socket.</summary>
internal sealed class PortSet
{
    private readonly ulong[] _bits = new ulong[65536 / 64];

    public void Add(int port) => _bits[port >> 6] |= 1UL << (port & 63);

    public void Clear() => Array.Clear(_bits);

    /// <summary>How many ports of the range are in the set, without those in <paramref name="except"/>.</summary>
    public int CountIn(PortRange range, IReadOnlyList<PortRange> except)
    {
        int count = CountIn(range);
        foreach (PortRange hole in except)
        {
            if (range.Intersect(hole) is PortRange inside)
            {
                count -= CountIn(inside);
            }
        }

        return count;
    }

    private int CountIn(PortRange range)
    {
        int count = 0;
        for (int word = range.First >> 6; word <= range.Last >> 6; word++)
        {
            ulong bits = _bits[word];
            if (word == range.First >> 6)
            {
                bits &= ulong.MaxValue << (range.First & 63);
            }

            if (word == range.Last >> 6)
            {
                bits &= ulong.MaxValue >> (63 - (range.Last & 63));
            }

            count += BitOperations.PopCount(bits);
        }

        return count;
    }
}
