"""Reports from the project folders of KerasTuner.

These modules import neither Keras nor KerasTuner.
"""
