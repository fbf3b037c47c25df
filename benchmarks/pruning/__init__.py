"""Pruning against dense training, controls and tensorflow's own pruning."""
