using System.ComponentModel.DataAnnotations;

namespace CacheService.Hosting;

/// <summary>Section <c>Cache</c>.</summary>
internal sealed class CacheOptions
{
    /// <summary>Largest value taken by PUT. Default 1 MB.</summary>
    [Range(1, 16 << 20)]
    public int MaxValueBytes { get; set; } = 1 << 20;

    /// <summary>
    /// For a whole request, but for its body. Above <c>RentTimeout</c>, so that a caller who waited in vain is told so; below what
    /// clients wait. Default 3 s.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "00:10:00")]
    public TimeSpan RequestTimeout { get; set; } = TimeSpan.FromSeconds(3);

    /// <summary>For the body of a PUT, which depends on the client and not on the cache. Default 10 s.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "00:10:00")]
    public TimeSpan UploadTimeout { get; set; } = TimeSpan.FromSeconds(10);
}
