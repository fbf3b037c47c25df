"""Checks, compiles and calls the model of an agent."""

from typing import Any

import keras
import numpy as np

from keras_netopt.rl.environments import encode_observations
from keras_netopt.training.optimizer_subset import belongs_elsewhere
from keras_netopt.training.present_flags import compile_for_flags


def check_agent_model(
    model: Any, space: Any, outputs: int, name: str = "model"
) -> None:
    """Refuses a model that does not map observations to one row of numbers.

    Builds a model that is not built.

    Args:
        model: The argument.
        space: Space of one observation.
        outputs: Number of outputs.
        name: Name of the argument.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(
            f"Argument `{name}` must be a keras.Model. Received: "
            f"{name}={model!r}"
        )
    shown = f"{name}=<{type(model).__name__} name={model.name}>"
    shape = encode_observations(space, space.sample()).shape
    probe = np.random.default_rng(0).standard_normal((2, *shape))
    try:
        found = model.predict_on_batch(probe.astype("float32"))
    except Exception as error:
        raise ValueError(
            f"Argument `{name}` must take observations of shape "
            f"{('batch', *shape)}: the call failed with {error}. "
            f"Received: {shown}"
        ) from error
    if not isinstance(found, np.ndarray) or found.shape != (2, outputs):
        raise ValueError(
            f"Argument `{name}` must have one output of shape "
            f"{('batch', outputs)}, one number each. Received: {shown} "
            f"with outputs of shape {keras.tree.map_structure(np.shape, found)}"
        )
    is_normalized = np.allclose(found.sum(-1), 1.0, atol=1e-4)
    if is_normalized and (found >= 0).all() and outputs > 1:
        raise ValueError(
            f"Argument `{name}` must return logits or values, but its outputs "
            "are probabilities: remove the softmax from its last layer. "
            f"Received: {shown}"
        )
    if not model.trainable_variables:
        raise ValueError(
            f"Argument `{name}` must have trainable weights. Received: "
            f"{shown} without any. A frozen task of progressive networks "
            "cannot be trained: add a new one"
        )


def compile_for_agent(
    model: keras.Model, loss: Any, optimizer: Any = None, name: str = "model"
) -> None:
    """Compiles a model with a loss; a compiled one keeps its optimizer.

    Args:
        model: A built model.
        loss: A Keras loss.
        optimizer: An optimizer or its name. `None` keeps the optimizer of a
            compiled model, else it is Adam with its default learning rate.
        name: Name of the argument of the model.
    """
    arguments: dict[str, Any] = {}
    if model.compiled:
        arguments = {
            "jit_compile": model.jit_compile,
            "run_eagerly": model.run_eagerly,
        }
        optimizer = model.optimizer if optimizer is None else optimizer
    if belongs_elsewhere(optimizer, model):
        raise ValueError(
            "Argument `optimizer` must be new or hold slots of the model's "
            "weights, but it was built for another model. Received: "
            f"optimizer={optimizer!r}, {name}=<{type(model).__name__} "
            f"name={model.name}>. Make a new optimizer for each model"
        )
    try:
        chosen = keras.optimizers.get(
            "adam" if optimizer is None else optimizer
        )
    except Exception as error:  # KeyError for a dictionary.
        raise ValueError(
            "Argument `optimizer` must be an optimizer of Keras or its name: "
            f"{error}. Received: optimizer={optimizer!r}"
        ) from error
    model.compile(chosen, loss, **arguments)
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)


def predict(model: keras.Model, observations: np.ndarray) -> np.ndarray:
    """Returns the outputs of a model, which must be finite."""
    compile_for_flags(model, "predict_function")
    outputs: np.ndarray = model.predict_on_batch(observations)
    if not np.isfinite(outputs).all():
        raise ValueError(
            f"Model {model.name} returns outputs that are not finite. Reduce "
            "its learning rate or clip its gradients (`clipnorm` of the "
            "optimizer)"
        )
    return outputs
