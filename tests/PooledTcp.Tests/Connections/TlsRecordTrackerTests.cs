using PooledTcp.Connections;
using Xunit;

namespace PooledTcp.Tests.Connections;

public sealed class TlsRecordTrackerTests
{
    private static readonly byte[] ThreeRecords =
    [
        23, 3, 3, 0, 2, 0xAA, 0xBB,
        22, 3, 3, 0, 0,
        .. Record(bodyLength: 300),
    ];

    private static readonly int[] Boundaries = [0, 7, 12, 12 + 305];

    [Fact]
    public void Is_at_a_boundary_exactly_where_a_record_ends_however_the_bytes_are_cut()
    {
        for (int first = 0; first <= ThreeRecords.Length; first++)
        {
            for (int second = first; second <= ThreeRecords.Length; second += 7)
            {
                var tracker = default(TlsRecordTracker);
                tracker.Advance(ThreeRecords.AsSpan(0, first));
                Assert.Equal(Boundaries.Contains(first), tracker.AtBoundary);

                tracker.Advance(ThreeRecords.AsSpan(first, second - first));
                Assert.Equal(Boundaries.Contains(second), tracker.AtBoundary);
            }
        }
    }

    private static byte[] Record(int bodyLength)
    {
        var record = new byte[5 + bodyLength];
        record[0] = 23;
        record[1] = record[2] = 3;
        record[3] = (byte)(bodyLength >> 8);
        record[4] = (byte)bodyLength;
        return record;
    }
}
