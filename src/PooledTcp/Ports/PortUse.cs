namespace PooledTcp.Ports;

/// <summary>How many ports this process holds, and for what.</summary>
/// <param name="Connecting">Dials under way, racing ones included.</param>
/// <param name="Live">Established connections, lent or idle.</param>
/// <param name="Closing">Being closed; <paramref name="Promised"/> of them hold a token.</param>
/// <param name="Promised">Tokens whose TIME_WAIT has not begun.</param>
/// <param name="Owed">TIME_WAITs that have not run out.</param>
internal readonly record struct PortUse(int Connecting, int Live, int Closing, int Promised, int Owed)
{
    /// <summary>Every port taken, if each dial under way has one. A promised one is still a closing connection.</summary>
    public int Ports => Held + Connecting;

    /// <summary>The ports taken for certain: a dial may be the one that finds none.</summary>
    public int Held => Live + Closing + Owed;

    /// <summary>What counts against the share of TIME_WAITs.</summary>
    public int Tokens => Promised + Owed;

    public static PortUse operator +(PortUse a, PortUse b) => new(
        a.Connecting + b.Connecting, a.Live + b.Live, a.Closing + b.Closing, a.Promised + b.Promised, a.Owed + b.Owed);
}
