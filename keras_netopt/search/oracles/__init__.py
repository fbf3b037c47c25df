"""Oracles: choose the values of the next trial."""
