using System.Net.Sockets;

namespace PooledTcp.Tests.Fakes;

/// <summary>An exchange whose first connection is reset while it sends, so that it asks for another.</summary>
internal static class FailingExchange
{
    /// <summary>Returns the connection of the second run. <paramref name="failing"/> runs before the first one fails.</summary>
    public static Task<long> FailOnceAsync(this TcpPool pool, FakeConnector connector, Func<Task>? failing = null, CancellationToken cancellationToken = default)
    {
        int runs = 0;
        return pool.ExecuteAsync(
            async (lease, _, token) =>
            {
                if (++runs > 1)
                {
                    return lease.ConnectionId;
                }

                if (failing is not null)
                {
                    await failing();
                }

                SetFault(new SocketException((int)SocketError.ConnectionReset));
                try
                {
                    await lease.SendAsync(new byte[1], token);
                    return 0;
                }
                finally
                {
                    SetFault(null);
                }
            },
            0,
            new ExchangeOptions { Idempotent = true },
            cancellationToken).AsTask();

        // All of them: which one was lent, the fake does not know.
        void SetFault(Exception? fault)
        {
            foreach (FakeTransport transport in connector.Transports)
            {
                transport.Fault = fault;
            }
        }
    }
}
