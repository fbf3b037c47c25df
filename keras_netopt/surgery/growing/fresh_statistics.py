"""Moving averages of channels that batch normalization has never seen."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.surgery.edits.edit import read
from keras_netopt.surgery.edits.plan import EditPlan
from keras_netopt.training import randomness


def measure_fresh_statistics(model: keras.Model, plan: EditPlan, x: Any) -> int:
    """Sets mean and variance of new channels to those of one batch.

    Without it they are 0 and 1 and are wrong as soon as the weights that read
    the new channels move away from zero. Old channels keep their averages.

    Args:
        model: The model after the edit.
        plan: The edit's plan.
        x: Inputs of one batch.

    Returns:
        The number of layers that got new statistics.
    """
    found = _fresh_channels(plan)
    if not found:
        return 0
    seen = _after_one_batch(model, x)
    for layer, fresh in found:
        for variable in (layer.moving_mean, layer.moving_variance):
            old, new = read(variable), seen[id(variable)]
            momentum = float(layer.momentum)
            batch = (new - momentum * old) / (1.0 - momentum)
            variable.assign(np.where(fresh, batch, old).astype(old.dtype))
    return len(found)


def _fresh_channels(plan: EditPlan) -> list[tuple[Any, np.ndarray]]:
    """Lists the layers with new channels, and which these are."""
    found = {}
    for binding in plan.graph.bindings:
        layer = binding.layer
        if not isinstance(layer, keras.layers.BatchNormalization):
            continue
        if binding.variable is layer.moving_mean and layer.momentum < 1:
            old: np.ndarray = np.zeros(len(binding.ids), bool)
            fresh = plan.map(binding.variable, old, "index")
            if fresh.any():
                found[id(layer)] = (layer, fresh)
    return list(found.values())


def _after_one_batch(model: keras.Model, x: Any) -> dict[int, np.ndarray]:
    """Trains moving averages on a batch without keeping anything of it."""
    state = randomness.capture_random_state(model)
    inputs = keras.tree.map_structure(ops.convert_to_tensor, x)
    _, updated = model.stateless_call(
        [v.value for v in model.trainable_variables],
        [v.value for v in model.non_trainable_variables],
        inputs,
        training=True,
    )
    randomness.restore_random_state(model, state)
    return {
        id(variable): np.asarray(ops.convert_to_numpy(value))
        for variable, value in zip(
            model.non_trainable_variables, updated, strict=True
        )
    }
