using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using PooledTcp.Configuration;
using PooledTcp.Connections;

namespace PooledTcp.Health;

/// <summary>
/// The addresses of one endpoint and which of them the next dial tries in which order. Everything here happens under the
/// pool's gate; the caller brings the time.
/// </summary>
/// <remarks>
/// <para>
/// <b>Order.</b> Within an address family the least used first, so that connections spread over the servers. The resolver's
/// first family leads and the other alternates with it (RFC 8305 section 4): that is a second way to the same servers, so it
/// is not spread over. Addresses whose last dial went wrong come last for a while, and are still tried when all the others
/// fail. Those with an open breaker are left out.
/// </para>
/// <para>
/// <b>Probes.</b> While other addresses work, nobody would ever notice that a failing one is back. So a due probe goes first
/// in an ordinary dial; if it hangs, the next address overtakes it after the attempt delay, and that is all it costs. When
/// no address works, the others follow the one that is due, the soonest due first: the race reaches them if it fails or hangs.
/// </para>
/// <para>
/// An endpoint without a host name has one address for good: the literal, the unix socket, or whatever its connect callback
/// connects to. A name that was never resolved has one breaker of its own, for a resolver that does not answer.
/// </para>
/// </remarks>
internal sealed class EndpointRoutes
{
    private readonly Func<double> _nextRandom;
    private readonly int _port;

    // Addresses that left while they had connections: those learn it if the address comes back.
    private readonly List<Route> _departed = [];
    private List<Route> _listed;

    /// <param name="address">The endpoint's address.</param>
    /// <param name="isResolvable">It is a host name whose addresses will come through <see cref="Update"/>.</param>
    /// <param name="nextRandom">0 to 1, for jitter and ties.</param>
    public EndpointRoutes(EndpointAddress address, bool isResolvable, Func<double> nextRandom)
    {
        _nextRandom = nextRandom;
        _port = address.Port;
        _listed = [new Route(new DialTarget(address.ToEndPoint()), nextRandom)];
        IsResolved = !isResolvable;
    }

    public IReadOnlyList<Route> Listed => _listed;

    /// <summary>Its addresses are known: false for a name until the first lookup succeeded.</summary>
    public bool IsResolved { get; private set; }

    /// <summary>Some address may be dialed now.</summary>
    public bool LetsThrough => _listed.Exists(static route => route.Breaker.LetsThrough);

    /// <summary>The best of its addresses: open only when every one is.</summary>
    public BreakerState State =>
        _listed.Exists(static route => route.Breaker.State == BreakerState.Closed) ? BreakerState.Closed
        : _listed.Exists(static route => route.Breaker.State == BreakerState.HalfOpen) ? BreakerState.HalfOpen
        : BreakerState.Open;

    /// <summary>When the first of the open addresses may be probed.</summary>
    public TimeSpan RetryAt => _listed.Min(static route => route.Breaker.State == BreakerState.Open ? route.Breaker.RetryAt : TimeSpan.MaxValue);

    /// <summary>Failed dials in a row, of the address that has the fewest.</summary>
    public int Failures => _listed.Min(static route => route.Breaker.Failures);

    /// <summary>Lets the pauses end that are over.</summary>
    public void Advance(TimeSpan now)
    {
        foreach (Route route in _listed)
        {
            route.Breaker.Advance(now);
        }
    }

    /// <summary>A lowered MaxBackoff holds for the pauses that are running, too.</summary>
    public void Shorten(TimeSpan now, TimeSpan maxBackoff)
    {
        foreach (Route route in _listed.Concat(_departed))
        {
            route.Breaker.Shorten(now, maxBackoff);
        }
    }

    /// <summary>What a dial that starts now tries. <see cref="End"/> follows, once.</summary>
    public RoutePlan Begin()
    {
        // A single address needs no order, and most endpoints have one: it is 0.9 KB less for each dial, under the pool's gate.
        RoutePlan plan = new(_listed.Count == 1 ? [(_listed[0], BeginOnly(_listed[0].Breaker))] : BeginInOrder(), needsLookup: !IsResolved);
        plan.Steps[0].Route.Target.Dials++;
        return plan;
    }

    /// <summary>The dial never tried anything, or was given up by the pool: no verdict on anybody.</summary>
    public static void Release(RoutePlan plan)
    {
        EndDial(plan);
        foreach ((Route route, bool isProbe) in plan.Steps)
        {
            route.Breaker.Released(isProbe);
        }
    }

    /// <summary>The dial is over: what each address has earned.</summary>
    /// <param name="plan">What <see cref="Begin"/> gave.</param>
    /// <param name="error">Why the dial failed; null when it succeeded.</param>
    /// <param name="now">On the pool clock.</param>
    /// <param name="settings">In force now.</param>
    public static void End(RoutePlan plan, Exception? error, TimeSpan now, HealthSettings settings)
    {
        EndDial(plan);
        for (int i = 0; i < plan.Steps.Count; i++)
        {
            (Route route, bool isProbe) = plan.Steps[i];
            DialProgress progress = plan.Race.Look(i, out Exception? own);
            if (plan.NeedsLookup && error is not null)
            {
                // The lookup itself failed.
                (progress, own) = (DialProgress.Failed, error);
            }

            bool overtaken = progress == DialProgress.Started && plan.Race.Winner is not null;
            switch (progress)
            {
                case DialProgress.NotStarted:
                    route.Breaker.Released(isProbe);
                    break;
                case DialProgress.Won when error is null:
                    route.Breaker.Succeeded();
                    break;
                case DialProgress.Started when overtaken:
                case DialProgress.Failed when LocalFailures.Is(own!):
                case DialProgress.Won or DialProgress.Started when LocalFailures.Is(error!):
                    route.Breaker.Missed(isProbe, now, settings);
                    break;
                default:
                    route.Breaker.Failed(isProbe, now, settings);
                    break;
            }
        }
    }

    /// <summary>The name's addresses as just resolved, in the resolver's order. False when they are the same as before.</summary>
    public bool Update(IReadOnlyList<IPAddress> addresses, out int added, out int removed)
    {
        Debug.Assert(addresses.Count > 0, "An empty answer is a failed lookup.");
        List<Route> known = IsResolved ? _listed : [];
        List<Route> listed = [.. addresses.Select(address => Find(known, address) ?? Find(_departed, address) ?? NewRoute(address))];
        List<Route> gone = known.FindAll(route => !listed.Contains(route));
        added = listed.Count(route => !known.Contains(route));
        removed = gone.Count;
        IsResolved = true;
        _listed = listed;
        listed.ForEach(static route => route.Target.IsRemoved = false);
        gone.ForEach(static route => route.Target.IsRemoved = true);
        _departed.RemoveAll(listed.Contains);
        _departed.RemoveAll(static route => route.Target is { Connections: 0, Dials: 0 });
        _departed.AddRange(gone);
        return added + removed > 0;
    }

    /// <summary>As <see cref="BeginInOrder"/> does for one of them. True when it is the probe.</summary>
    private static bool BeginOnly(Breaker breaker)
    {
        if (breaker.State != BreakerState.Open)
        {
            return breaker.Begin();
        }

        breaker.BeginEarly();
        return true;
    }

    private List<(Route, bool)> BeginInOrder()
    {
        List<Route> good = _listed.FindAll(static route => route.Breaker is { State: BreakerState.Closed, IsDoubtful: false });
        List<Route> due = _listed.FindAll(static route => route.Breaker.IsProbeDue);

        // Behind good addresses one at a time: two that hang would cost two delays.
        IEnumerable<Route> order = due.Take(good.Count > 0 ? 1 : due.Count)
            .Concat(Arrange(good))
            .Concat(Arrange(_listed.FindAll(static route => route.Breaker.IsDoubtful)));
        List<(Route, bool)> steps = [.. order.Select(static route => (route, route.Breaker.Begin()))];
        if (!_listed.Exists(static route => route.Breaker.State == BreakerState.Closed))
        {
            // One that hangs must not hide another that is back but due a moment later. It is the one probe of them all.
            List<Route> early = _listed.FindAll(static route => route.Breaker.State == BreakerState.Open);
            early.ForEach(static route => route.Breaker.BeginEarly());
            steps.AddRange(early.OrderBy(static route => route.Breaker.RetryAt).Select(static route => (route, true)));
        }

        if (steps.Count == 0)
        {
            // The dial had its permission from the name, which has been resolved since, to addresses that just closed.
            steps.AddRange(Arrange(_listed).Select(static route => (route, false)));
        }

        return steps;
    }

    private static void EndDial(RoutePlan plan)
    {
        DialTarget first = plan.Steps[0].Route.Target;
        first.Dials--;
        Debug.Assert(first.Dials >= 0, "No count is ever negative.");
    }

    private static Route? Find(List<Route> routes, IPAddress address) =>
        routes.Find(route => route.Target.EndPoint is IPEndPoint at && at.Address.Equals(address));

    private Route NewRoute(IPAddress address) => new(new DialTarget(new IPEndPoint(address, _port)), _nextRandom);

    /// <summary>Least used first within a family, ties by chance (the resolver sorts alike on every host); families in turn.</summary>
    private List<Route> Arrange(List<Route> routes)
    {
        if (routes.Count < 2)
        {
            return routes;
        }

        AddressFamily leading = FamilyOf(_listed[0]);
        ILookup<bool, Route> families = routes
            .OrderBy(static route => route.Target.Connections + route.Target.Dials)
            .ThenBy(_ => _nextRandom())
            .ToLookup(route => FamilyOf(route) == leading);
        List<Route> first = [.. families[true]];
        List<Route> second = [.. families[false]];
        List<Route> order = new(routes.Count);
        for (int i = 0; i < Math.Max(first.Count, second.Count); i++)
        {
            order.AddRange(first.Skip(i).Take(1));
            order.AddRange(second.Skip(i).Take(1));
        }

        return order;
    }

    private static AddressFamily FamilyOf(Route route) => route.Target.EndPoint.AddressFamily;
}
