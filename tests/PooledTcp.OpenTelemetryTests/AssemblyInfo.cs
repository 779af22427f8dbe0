using Xunit.Sdk;
using Xunit.v3;

// Listeners are the process's: a provider hears the spans and measurements of every test that runs beside its own.
[assembly: Parallelization(Mode = ParallelMode.None)]
