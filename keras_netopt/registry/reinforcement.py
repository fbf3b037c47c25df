"""Reinforcement learning: rows of the registry."""

from keras_netopt.registry.method import Method

METHODS: tuple[Method, ...] = ()
