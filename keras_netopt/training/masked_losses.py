"""Losses of samples whose steps are masked.

`predict` returns arrays, which carry no mask.
Private names of Keras 3.15: `_compile_loss`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.graph.model_graph import mask_of
from keras_netopt.training.backend import sync_variables
from keras_netopt.training.sample_loss import has_loss, sample_loss
from keras_netopt.training.stateless_forward import compile_stateless

_ATTRIBUTE = "_netopt_masked_losses"


@dataclass(frozen=True, eq=False)
class _Compiled:
    """The compiled function of a model, which Keras does not save.

    It holds what the function reads: the ids of objects that are gone repeat.
    """

    read: list[Any]
    function: Callable[..., Any]


def has_masked_outputs(model: keras.Model, x: Any) -> bool:
    """Returns whether outputs of a model carry masks; runs two samples.

    `False` for a model with a `predict` or `predict_step` of its own, which
    may give other outputs than a call.
    """
    if any(
        getattr(type(model), name) is not getattr(keras.Model, name)
        for name in ("predict", "predict_step")
    ):
        return False
    sync_variables(model)
    few = keras.tree.map_structure(
        lambda one: ops.convert_to_tensor(one[:2]), x
    )
    with keras.StatelessScope():
        outputs = keras.tree.flatten(model(few, training=False))
    return any(mask_of(one) is not None for one in outputs)


def masked_losses(
    model: keras.Model, x: Any, y: Any, batch_size: int
) -> np.ndarray:
    """Returns the loss of each sample, averaged over its unmasked steps.

    The function is compiled once for the same variables and loss.

    Args:
        model: A compiled, built model.
        x: Inputs, as arrays.
        y: Targets.
        batch_size: Samples per call, at most.
    """
    any_model: Any = model
    sync_variables(model)
    read = [any_model._compile_loss, *model.variables]
    held = vars(model).get(_ATTRIBUTE)
    if held is not None and list(map(id, held.read)) != list(map(id, read)):
        held = None
    found: list[np.ndarray] = []
    size = len(keras.tree.flatten(x)[0])
    for begin in range(0, size, batch_size):
        part = keras.tree.map_structure(
            lambda one, k=begin: ops.convert_to_tensor(one[k : k + batch_size]),
            (x, y),
        )
        if not has_loss(model) or not any_model._compile_loss.built:
            # Makes the variables of the loss, or raises.
            losses = sample_loss(model, part[1], model(part[0], training=False))
        else:
            if held is None:
                held = _Compiled(read, _compile(model))
                object.__setattr__(model, _ATTRIBUTE, held)
            losses, _ = held.function([], *part)
        found.append(ops.convert_to_numpy(losses))
    return np.concatenate(found)


def _compile(model: keras.Model) -> Any:
    def losses(x: Any, y: Any) -> Any:
        return sample_loss(model, y, model(x, training=False))

    return compile_stateless(losses, [], model.variables)
