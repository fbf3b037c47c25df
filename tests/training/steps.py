"""Optimizer steps without a trainer: nothing is traced."""

import contextlib

import keras
import numpy as np


def apply_gradients(model, steps=1, seed=0):
    """Applies random gradients; returns those of the last step, by variable."""
    rng = np.random.default_rng(seed)
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    for _ in range(steps):
        gradients = [
            rng.standard_normal(v.shape).astype("float32")
            for v in model.trainable_variables
        ]
        with without_gradients():
            model.optimizer.apply(
                [keras.ops.convert_to_tensor(g) for g in gradients]
            )
    return {
        id(v): g
        for v, g in zip(model.trainable_variables, gradients, strict=True)
    }


def without_gradients():
    """As torch's trainer applies them."""
    if keras.backend.backend() != "torch":
        return contextlib.nullcontext()
    import torch

    return torch.no_grad()
