using Xunit.Sdk;
using Xunit.v3;

// The service's meter and sources are found by name, by every provider in the process: one service at a time.
[assembly: Parallelization(Mode = ParallelMode.None)]
