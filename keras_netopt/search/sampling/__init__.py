"""Densities and Pareto ranks in NumPy, without KerasTuner."""
