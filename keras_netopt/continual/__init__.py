"""Continual learning: what a network keeps of earlier tasks."""
