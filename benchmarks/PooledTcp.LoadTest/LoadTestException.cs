namespace PooledTcp.LoadTest;

/// <summary>A measurement could not be made, and why.</summary>
internal sealed class LoadTestException(string message, Exception? inner = null) : Exception(message, inner);
