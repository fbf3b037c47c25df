"""Hyperparameter search against KerasTuner's oracles and Optuna."""
