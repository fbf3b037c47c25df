"""Small files for devices: step by step, by hand and by one call."""
