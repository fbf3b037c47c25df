"""Targets without a model, for tests that need NumPy only."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from keras_netopt.sparsity import KernelView, WeightTarget


@pytest.fixture
def make_target():
    """A function that makes a target of a Dense or convolution's shape."""

    def make(shape, key="layer/kernel"):
        rank = len(shape)
        rows = (*range(rank - 2), rank - 2)
        view = KernelView(tuple(shape), rows, (rank - 1,), shape[-2])
        variable = SimpleNamespace(name="kernel", shape=tuple(shape))
        return WeightTarget(key, variable, keras.layers.Identity(), view)

    return make


@pytest.fixture
def three_layers(make_target):
    """Three targets of different sizes with normal weights."""
    shapes = [(3, 3, 8, 16), (64, 24), (24, 10)]
    rng = np.random.default_rng(1)
    targets = [make_target(s, f"l{i}/kernel") for i, s in enumerate(shapes)]
    weights = [rng.standard_normal(s).astype("float32") for s in shapes]
    return targets, weights
