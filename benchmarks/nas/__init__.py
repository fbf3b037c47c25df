"""Neural architecture search: measurements behind docs/benchmarks."""
