"""Early exits: add them to a model, calibrate thresholds, run, export."""
