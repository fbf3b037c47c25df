"""Sparse training against masks at initialisation, tickets and controls."""
