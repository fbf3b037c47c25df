"""Finds units without an effect and removes them exactly."""
