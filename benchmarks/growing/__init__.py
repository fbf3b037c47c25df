"""Measures network growing."""
