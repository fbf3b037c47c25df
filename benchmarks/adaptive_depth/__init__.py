"""Networks that run fewer layers: what is saved, and what it costs."""
