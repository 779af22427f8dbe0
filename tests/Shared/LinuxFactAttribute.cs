using System.Runtime.CompilerServices;
using Xunit;

namespace PooledTcp.TestSupport;

/// <summary>A test of what only Linux has. Elsewhere it is skipped; in CI, which is Linux, a skipped test is a failed one.</summary>
internal sealed class LinuxFactAttribute : FactAttribute
{
    public LinuxFactAttribute([CallerFilePath] string? sourceFilePath = null, [CallerLineNumber] int sourceLineNumber = -1)
        : base(sourceFilePath, sourceLineNumber)
    {
        Skip = "needs Linux";
        SkipType = typeof(LinuxFactAttribute);
        SkipUnless = nameof(IsLinux);
    }

    public static bool IsLinux => OperatingSystem.IsLinux();
}
