namespace OutageReplay;

/// <summary>The replay cannot go on; the message is the one line the user sees.</summary>
internal sealed class ReplayException(string message, Exception? inner = null) : Exception(message, inner);
