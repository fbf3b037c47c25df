"""Scores of untrained models, without KerasTuner."""
