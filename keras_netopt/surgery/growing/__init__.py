"""Where and when a model grows, and how new units begin."""
