"""Benchmarks of the learning rate finder and of early stopping."""
