namespace PooledTcp.KernelTests.RealServers;

/// <summary>FTP's control connection, logged in as anonymous.</summary>
public sealed class VsftpdServer : ServerProgram
{
    public override string Name => "vsftpd";

    public override string Goodbye => "ftp";

    protected override string[] Needs => ["vsftpd"];

    public override async ValueTask<object?> HandshakeAsync(TcpLease connection, CancellationToken cancellationToken)
    {
        await connection.Stream.ExpectAsync("220 ", cancellationToken);
        await connection.Stream.AskAsync("USER anonymous\r\n", "230 ", cancellationToken);
        return null;
    }

    public override async Task ExchangeAsync(Stream stream, CancellationToken cancellationToken) =>
        await stream.AskAsync("NOOP\r\n", "200 ", cancellationToken);

    protected override async Task<string[]> PrepareAsync(string folder, string address, int port, int? idleSeconds)
    {
        string configuration = Path.Combine(folder, "vsftpd.conf");
        await File.WriteAllTextAsync(configuration, $"""
            listen=YES
            listen_address={address}
            listen_port={port}
            background=NO
            run_as_launching_user=YES
            one_process_model=YES
            seccomp_sandbox=NO
            anonymous_enable=YES
            no_anon_password=YES
            anon_root={folder}
            secure_chroot_dir={folder}
            max_per_ip=0
            idle_session_timeout={idleSeconds ?? 300}

            """);
        return [Find("vsftpd")!, configuration];
    }
}
