namespace PooledTcp.KernelTests.RealServers;

/// <summary>POP3 and IMAP. The idle timeouts (10 and 30 minutes, of the RFCs) are built in.</summary>
public abstract class DovecotServer(string protocol) : ServerProgram
{
    public override string Name => $"dovecot-{protocol}d";

    public override string Goodbye => protocol;

    public override IdleClose IdleClose => IdleClose.None;

    protected override string[] Needs => ["dovecot", $"/usr/lib/dovecot/{protocol}"];

    protected override async Task<string[]> PrepareAsync(string folder, string address, int port, int? idleSeconds)
    {
        string configuration = Path.Combine(folder, "dovecot.conf");
        await File.WriteAllTextAsync(configuration, $$"""
            {{await DialectAsync(folder)}}
            protocols = {{protocol}}
            listen = {{address}}
            base_dir = {{folder}}/run
            state_dir = {{folder}}/state
            log_path = {{folder}}/log
            ssl = no
            default_internal_user = nobody
            default_internal_group = nogroup
            default_login_user = nobody
            mail_max_userip_connections = 0
            service {{protocol}}-login {
              chroot =
              inet_listener {{protocol}} {
                port = {{port}}
              }
              inet_listener {{protocol}}s {
                port = 0
              }
            }
            service anvil {
              chroot =
            }

            """);
        return [Find("dovecot")!, "-F", "-c", configuration];
    }

    // What 2.3 (Debian 12) and 2.4 (Debian 13) spell differently: doc.dovecot.org, "Upgrading Dovecot CE from 2.3 to 2.4". The
    // version has to come first.
    private static async Task<string> DialectAsync(string folder)
    {
        string version = await ServerProcess.RunAsync(folder, Find("dovecot")!, "--version");
        return version.StartsWith("2.3.", StringComparison.Ordinal)
            ? $$"""
                mail_location = maildir:{{folder}}/mail
                disable_plaintext_auth = no
                passdb {
                  driver = static
                  args = password=secret
                }
                userdb {
                  driver = static
                  args = uid=nobody gid=nogroup home={{folder}}/home
                }
                """
            : $$"""
                dovecot_config_version = 2.4.0
                dovecot_storage_version = 2.4.0
                mail_driver = maildir
                mail_path = {{folder}}/mail
                auth_allow_cleartext = yes
                passdb static {
                  password = secret
                }
                userdb static {
                  fields {
                    uid = nobody
                    gid = nogroup
                    home = {{folder}}/home
                  }
                }
                """;
    }
}

public sealed class DovecotPop3() : DovecotServer("pop3")
{
    public override async ValueTask<object?> HandshakeAsync(TcpLease connection, CancellationToken cancellationToken)
    {
        await connection.Stream.ExpectAsync("+OK", cancellationToken);
        await connection.Stream.AskAsync("USER someone\r\n", "+OK", cancellationToken);
        await connection.Stream.AskAsync("PASS secret\r\n", "+OK", cancellationToken);
        return null;
    }

    public override async Task ExchangeAsync(Stream stream, CancellationToken cancellationToken) =>
        await stream.AskAsync("NOOP\r\n", "+OK", cancellationToken);
}

public sealed class DovecotImap() : DovecotServer("imap")
{
    public override async ValueTask<object?> HandshakeAsync(TcpLease connection, CancellationToken cancellationToken)
    {
        await connection.Stream.ExpectAsync("* OK", cancellationToken);
        await connection.Stream.AskAsync("a1 LOGIN someone secret\r\n", "a1 OK", cancellationToken);
        return null;
    }

    public override async Task ExchangeAsync(Stream stream, CancellationToken cancellationToken) =>
        await stream.AskAsync("a2 NOOP\r\n", "a2 OK", cancellationToken);
}
