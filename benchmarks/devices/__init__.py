"""Checks of every callback and layer on devices."""
