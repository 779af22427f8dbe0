using System.Globalization;
using Microsoft.Extensions.Options;

namespace PooledTcp.AspNetCore.Configuration;

/// <summary>As the client half reports its settings: an <see cref="OptionsValidationException"/> with one fault a line.</summary>
internal sealed class InvalidClosePolicyException(IReadOnlyCollection<string> faults)
    : OptionsValidationException(Options.DefaultName, typeof(ClosePolicyOptions), faults)
{
    public override string Message { get; } =
        (faults.Count == 1 ? "1 setting is not valid:" : string.Create(CultureInfo.InvariantCulture, $"{faults.Count} settings are not valid:"))
        + string.Concat(faults.Select(static fault => "\n  " + fault));
}
