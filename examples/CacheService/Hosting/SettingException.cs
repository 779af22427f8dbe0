namespace CacheService.Hosting;

/// <summary>A setting of this service that it cannot start with; the message names it and its value.</summary>
internal sealed class SettingException(string message, Exception? innerException = null) : Exception(message, innerException);
