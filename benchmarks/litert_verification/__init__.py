"""Compares the report of an export with the file on held-out data."""
