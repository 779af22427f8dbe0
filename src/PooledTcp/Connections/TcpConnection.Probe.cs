using System.Diagnostics;

namespace PooledTcp.Connections;

/// <summary>
/// A probe takes an idle connection from where it lies and puts it back there: it keeps its slot, or its place in the idle
/// stack, so the order of coldness is what it would have been without the probe.
/// </summary>
/// <remarks>
/// While the probe runs, the stack still links to the connection, and a rent may pop it, find that it cannot be taken, and
/// drop it. So it leaves a note. The probe ends in this order: publish idle, then collect the note. A rent goes in the
/// other order: try to take, then leave the note, and if that comes too late (the probe is over) try once more. Hence either
/// the note is there when it is collected, and the probe pushes the connection itself, or the rent's second try finds it idle.
/// </remarks>
internal sealed partial class TcpConnection
{
    private const int NotProbed = 0;
    private const int Probed = 1;
    private const int ProbedAndPopped = 2;

    private int _probe;

    /// <summary>
    /// Counts as idle: nobody asked for it. Read thrice, since a probe that begins or ends between two readings moves the
    /// connection from one to the other; it is marked before it leaves idle, and unmarked after it is back.
    /// </summary>
    public bool IsIdleOrProbed => IsProbed || IsIdle || IsProbed;

    public bool IsProbed => Volatile.Read(ref _probe) != NotProbed && !IsClosed;

    /// <summary>
    /// Idle to pooled, for a probe: loses against any rent that took it first. As <see cref="TryEvict"/> it passes over a
    /// connection on its way into or out of the stack.
    /// </summary>
    /// <remarks>
    /// It looks before it marks: a rent that popped the connection under an earlier probe may not have left its note yet, and
    /// a mark for a probe that then does not begin would take that note and keep it. One that is linked is in nobody's hands,
    /// and who pops it from here on takes it, unless this probe begins.
    /// </remarks>
    public bool TryBeginProbe()
    {
        long word = Volatile.Read(ref _word);
        if (LeaseWord.Phase(word) != LeaseWord.Idle || (Slot < 0 && !Linked))
        {
            return false;
        }

        Interlocked.Exchange(ref _probe, Probed);
        if (Interlocked.CompareExchange(ref _word, LeaseWord.Version(word) | LeaseWord.Pooled, word) == word)
        {
            return true;
        }

        Volatile.Write(ref _probe, NotProbed);
        return false;
    }

    /// <summary>
    /// After <see cref="PublishIdle"/>, or when the connection closes. True when a rent popped it meanwhile: then nothing
    /// links to it, so nobody can find it until it is pushed again.
    /// </summary>
    public bool EndProbe()
    {
        int seen = Interlocked.Exchange(ref _probe, NotProbed);
        Debug.Assert(seen != NotProbed, "A probe ends once.");
        return seen == ProbedAndPopped;
    }

    /// <summary>For a rent that popped the connection and could not take it. False when no probe is running, or no more.</summary>
    public bool NotePopped() => Interlocked.CompareExchange(ref _probe, ProbedAndPopped, Probed) == Probed;
}
