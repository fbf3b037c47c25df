"""Moving averages of new channels in batch normalization."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.graph.read_value import to_numpy
from keras_netopt.surgery.edits.edit_plan import EditPlan
from keras_netopt.training import randomness


def measure_new_channel_statistics(
    model: keras.Model, plan: EditPlan, x: Any
) -> int:
    """Sets mean and variance of new channels to those of one batch of inputs.

    The initial values 0 and 1 are wrong as soon as the outgoing weights of the
    new channels are not zero. Old channels keep their averages. Returns the
    number of layers with new statistics.
    """
    found = _new_channels(plan)
    if not found:
        return 0
    momenta = [layer.momentum for layer, _ in found]
    try:
        # Without momentum the averages are those of the last call, however
        # often the layer is called.
        for layer, _ in found:
            layer.momentum = 0.0
        seen = _after_one_batch(model, x)
    finally:
        for (layer, _), momentum in zip(found, momenta, strict=True):
            layer.momentum = momentum
    for layer, is_new in found:
        for variable in (layer.moving_mean, layer.moving_variance):
            old, new = to_numpy(variable), seen[id(variable)]
            variable.assign(np.where(is_new, new, old).astype(old.dtype))
    return len(found)


def _new_channels(plan: EditPlan) -> list[tuple[Any, np.ndarray]]:
    """Lists the layers with new channels, and a mask of those channels."""
    found = {}
    for coupled_axis in plan.graph.coupled_axes:
        layer = coupled_axis.layer
        if not isinstance(layer, keras.layers.BatchNormalization):
            continue
        if coupled_axis.variable is layer.moving_mean and layer.momentum < 1:
            old: np.ndarray = np.zeros(len(coupled_axis.ids), bool)
            is_new = plan.map(coupled_axis.variable, old, "index")
            if is_new.any():
                found[id(layer)] = (layer, is_new)
    return list(found.values())


def _after_one_batch(model: keras.Model, x: Any) -> dict[int, np.ndarray]:
    """Returns the non-trainable variables after one batch in training mode."""
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
