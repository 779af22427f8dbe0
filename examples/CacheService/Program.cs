using CacheService.Hosting;
using CacheService.Load;
using Microsoft.Extensions.Options;

if (args is ["load", ..])
{
    return await LoadCommand.RunAsync(args[1..]);
}

try
{
    await using WebApplication app = CacheApplication.Build(args);
    await app.RunAsync();
    return 0;
}
catch (Exception exception) when (exception is OptionsValidationException or SettingException)
{
    // Every fault is in the message; a stack trace would only hide it.
    await Console.Error.WriteLineAsync(exception.Message);
    return 1;
}
