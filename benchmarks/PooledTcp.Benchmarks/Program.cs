using BenchmarkDotNet.Running;
using PooledTcp.Benchmarks;

BenchmarkSwitcher.FromAssembly(typeof(RentReturn).Assembly).Run(args);
