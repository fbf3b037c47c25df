"""Checks and runs LiteRT files for TensorFlow Lite Micro."""
