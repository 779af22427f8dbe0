using System.Globalization;

namespace PooledTcp.Ports;

/// <summary>How an enquiry ended. A sandbox may lack netlink in many ways, and none of them may reach a dial as an exception.</summary>
internal enum SockDiagStatus
{
    Ok,

    /// <summary>No such socket (exact look-up only).</summary>
    NotFound,

    /// <summary>This kernel, platform or sandbox does not have it (ENOENT, EPROTONOSUPPORT, EAFNOSUPPORT, ENOSYS, ...).</summary>
    NotSupported,

    /// <summary>Forbidden here (EPERM, EACCES).</summary>
    Denied,

    /// <summary>Anything else; another try may succeed.</summary>
    Failed,
}

/// <param name="Status">The outcome in kind.</param>
/// <param name="Errno">The kernel's number, 0 if it gave none.</param>
internal readonly record struct SockDiagResult(SockDiagStatus Status, int Errno)
{
    public static SockDiagResult Ok => default;

    public bool IsOk => Status == SockDiagStatus.Ok;

    /// <summary>Classifies an errno of a dump or of the calls around it; ENOENT is then a missing kernel module.</summary>
    public static SockDiagResult FromErrno(int errno) => new(
        errno switch
        {
            0 => SockDiagStatus.Ok,
            Errors.NoEntry or Errors.Invalid or Errors.NoSystemCall or Errors.ProtocolNotSupported
                or Errors.TypeNotSupported or Errors.OperationNotSupported or Errors.FamilyNotSupported => SockDiagStatus.NotSupported,
            Errors.NotPermitted or Errors.AccessDenied => SockDiagStatus.Denied,
            _ => SockDiagStatus.Failed,
        },
        errno);

    public override string ToString() =>
        Errno == 0 ? Status.ToString() : string.Create(CultureInfo.InvariantCulture, $"{Status} (errno {Errno})");

    /// <summary>Linux numbers; the same on every architecture .NET runs on.</summary>
    internal static class Errors
    {
        public const int NotPermitted = 1;
        public const int NoEntry = 2;
        public const int Interrupted = 4;
        public const int AccessDenied = 13;
        public const int Invalid = 22;
        public const int NoSystemCall = 38;
        public const int ProtocolNotSupported = 93;
        public const int TypeNotSupported = 94;
        public const int OperationNotSupported = 95;
        public const int FamilyNotSupported = 97;
        public const int TimedOut = 110;
    }
}
