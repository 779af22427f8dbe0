using Microsoft.Extensions.Options;

namespace PooledTcp.Configuration;

/// <summary>
/// Callers catch <see cref="OptionsValidationException"/>. That type joins its failures by semicolons in one line;
/// a dozen faults with their paths are only readable one below the other.
/// </summary>
internal sealed class InvalidSettingsException(IReadOnlyCollection<string> faults)
    : OptionsValidationException(Options.DefaultName, typeof(PooledTcpOptions), faults)
{
    public override string Message { get; } =
        (faults.Count == 1 ? "1 setting is not valid:" : $"{faults.Count} settings are not valid:")
        + string.Concat(faults.Select(static fault => "\n  " + fault));
}
