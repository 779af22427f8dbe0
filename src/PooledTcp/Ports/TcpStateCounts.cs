using System.Globalization;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Text;

namespace PooledTcp.Ports;

/// <summary>How many sockets are in each state. A mutable value: copies are snapshots.</summary>
internal struct TcpStateCounts : IEquatable<TcpStateCounts>
{
    private PerState _counts;

    /// <summary>The sum over a mask of states.</summary>
    public readonly int this[TcpStates states]
    {
        get
        {
            int sum = 0;
            for (uint rest = (uint)states & ((1U << PerState.Length) - 1); rest != 0; rest &= rest - 1)
            {
                sum += _counts[BitOperations.TrailingZeroCount(rest)];
            }

            return sum;
        }
    }

    /// <summary>Counts one socket in exactly one state.</summary>
    public void Add(TcpStates state)
    {
        int number = BitOperations.TrailingZeroCount((uint)state);
        if (number < PerState.Length)
        {
            _counts[number]++;
        }
    }

    public readonly bool Equals(TcpStateCounts other) => ((ReadOnlySpan<int>)_counts).SequenceEqual(other._counts);

    public override readonly bool Equals(object? obj) => obj is TcpStateCounts other && Equals(other);

    public override readonly int GetHashCode() => this[TcpStates.All];

    /// <summary>"16 Established, 48 TimeWait"; "none" when empty.</summary>
    public override readonly string ToString()
    {
        var text = new StringBuilder();
        for (int number = 0; number < PerState.Length; number++)
        {
            if (_counts[number] > 0)
            {
                text.Append(text.Length > 0 ? ", " : "")
                    .Append(CultureInfo.InvariantCulture, $"{_counts[number]} {(TcpStates)(1U << number)}");
            }
        }

        return text.Length > 0 ? text.ToString() : "none";
    }

    [InlineArray(Length)]
    private struct PerState
    {
        public const int Length = 14;

        private int _first;
    }
}
