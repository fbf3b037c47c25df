"""Reinforcement learning: agents around Keras models."""
