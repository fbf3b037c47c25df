"""Densities and orders of points: numpy alone, no KerasTuner."""
