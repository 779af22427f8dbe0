using System.Net.Security;
using System.Net.Sockets;
using System.Text;

namespace PooledTcp.IntegrationTests.Servers;

/// <summary>Answers every command with the subject of the client's certificate, which it demands.</summary>
internal sealed class IdentityServer : LineServer
{
    protected override async Task ServeAsync(Socket client, CancellationToken cancellationToken)
    {
        await using var stream = new SslStream(new NetworkStream(client));
        await stream.AuthenticateAsServerAsync(
            new SslServerAuthenticationOptions
            {
                ServerCertificate = TestCertificates.Server,
                ClientCertificateRequired = true,
                RemoteCertificateValidationCallback = static (_, certificate, _, _) => certificate is not null,
            },
            cancellationToken);
        byte[] reply = Encoding.ASCII.GetBytes($"+{stream.RemoteCertificate!.Subject}\r\n");
        var buffer = new byte[1024];
        while (await stream.ReadAsync(buffer, cancellationToken) > 0)
        {
            await stream.WriteAsync(reply, cancellationToken);
        }
    }
}
