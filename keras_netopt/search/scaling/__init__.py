"""Compound scaling of depth, width and resolution."""
