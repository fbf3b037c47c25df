"""Training on a quantization grid against rounding and tfmot."""
