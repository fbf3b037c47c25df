"""Benchmarks of learning rates and of when to stop."""
