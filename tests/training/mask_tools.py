"""Masks of half of the weights, and checks that they apply."""

import numpy as np

from keras_netopt.graph.layers import variable_keys


def kernels(model):
    keys = variable_keys(model)
    return {
        keys[id(v)]: v for v in model.trainable_variables if v.name == "kernel"
    }


def half_masks(store):
    rng = np.random.default_rng(1)
    return {key: rng.random(m.shape) < 0.5 for key, m in store.masks().items()}


def assert_masked(store):
    masks, weights = store.masks(), store.weights()
    for key, mask in masks.items():
        outside = weights[key][~mask]
        assert outside.size
        assert not outside.any()
        assert not np.signbit(outside).any()
        assert weights[key][mask].any()
