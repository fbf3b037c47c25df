"""Peak memory and time with networks of 50 million parameters."""
