"""Random inputs of a model in the range of each input."""

from typing import Any

import keras
import numpy as np

from keras_netopt.graph.layers import walk_layers
from keras_netopt.tf_keras_bridge.flat_call import FlatGraph

SAMPLES = 4
FREE_AXIS = 32


def make_probes(
    graph: FlatGraph, model: keras.Model, seed: int = 0
) -> list[np.ndarray]:
    """Returns one batch for each input, in the order of the model.

    Floats are normal, or in [0, 255) in a model with `Rescaling`; integers
    are below the smallest vocabulary.
    """
    rng = np.random.default_rng(seed)
    layers = list(walk_layers(model))
    limit = min(_vocabularies(layers), default=10)
    is_image = any(isinstance(one, keras.layers.Rescaling) for one in layers)
    found = []
    for value in graph.inputs:
        batch = value.shape[0] or SAMPLES
        shape = (batch, *(axis or FREE_AXIS for axis in value.shape[1:]))
        if value.dtype == "bool":
            array = rng.random(shape) < 0.5
        elif "int" in value.dtype:
            array = rng.integers(0, min(limit, 120), shape)
        elif is_image:
            array = rng.random(shape) * 255.0
        else:
            array = rng.normal(size=shape)
        found.append(np.asarray(array).astype(value.dtype))
    return found


def _vocabularies(layers: list[Any]) -> list[int]:
    return [
        getattr(layer, size)
        for layer in layers
        for size in ("input_dim", "num_tokens")
        if isinstance(getattr(layer, size, None), int)
    ]
