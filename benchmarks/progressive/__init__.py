"""Benchmarks of progressive networks and transfer."""
