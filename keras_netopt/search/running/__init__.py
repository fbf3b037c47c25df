"""Runs the trials of a search, here and elsewhere."""
