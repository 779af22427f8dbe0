using System.ComponentModel.DataAnnotations;

namespace CacheService.Hosting;

/// <summary>Section <c>Cache</c>.</summary>
internal sealed class CacheOptions
{
    /// <summary>Largest value taken by PUT. Default 1 MB.</summary>
    [Range(1, 16 << 20)]
    public int MaxValueBytes { get; set; } = 1 << 20;

    /// <summary>
    /// For a whole request. Above <c>RentTimeout</c>, so that a caller who waited in vain is told so; below what clients wait.
    /// Default 3 s.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "00:10:00")]
    public TimeSpan RequestTimeout { get; set; } = TimeSpan.FromSeconds(3);
}
