"""Fine-tuning: unfreezing, learning rates per layer, warm starts."""
