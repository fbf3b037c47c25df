"""Benchmarks of adaptive depth: accuracy, MACs and time."""
