"""Differences between the backends while `fit` runs.

Private names of Keras 3.15: `jax_state_sync` (renamed `_backend_state_sync`
later), `_jax_state`, `_jax_state_synced`, the cached step functions,
`_torch_params`, `_track_variables`, `_trainable_variables`, `_clear_losses`,
`Variable._path`.
"""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import keras

from keras_netopt.graph.layers import sublayers, walk_layers
from keras_netopt.training.order import find_fit_variables
from keras_netopt.training.present_flags import write_state_back


def sync_variables(model: keras.Model) -> None:
    """Makes the variables of a model readable and writable inside `fit`.

    During an epoch the JAX trainer holds the training state outside the
    variables: reading a variable fails and an assignment is lost. On other
    backends this function does nothing.
    """
    if keras.backend.backend() != "jax":
        return
    any_model: Any = model
    hook = getattr(any_model, "jax_state_sync", None) or getattr(
        any_model, "_backend_state_sync", None
    )
    if hook is not None and not write_state_back(model):
        hook()


def commit_variables(model: keras.Model) -> None:
    """Makes assignments inside `fit` permanent, also after the last batch.

    If the length of the data is unknown, the JAX trainer starts one more step,
    finds no data, and restores the state from before the assignment. Call it
    after `sync_variables` and the assignment.
    """
    any_model: Any = model
    state = getattr(any_model, "_jax_state", None)
    if keras.backend.backend() != "jax" or not state:
        return
    if not any_model._jax_state_synced:
        return  # The trainer holds the current state.
    held = {
        "trainable_variables": any_model.trainable_variables,
        "non_trainable_variables": any_model.non_trainable_variables,
        "optimizer_variables": any_model.optimizer.variables,
        "metrics_variables": any_model.metrics_variables,
    }
    for name in state:
        state[name] = [variable.value for variable in held[name]]


@contextlib.contextmanager
def without_trainer_state(model: keras.Model) -> Iterator[None]:
    """Opens a context in which only the variables hold the training state.

    Between two steps the JAX trainer has lists of the same arrays, which would
    keep them in memory when the variables get others: its own, and those that
    `fit` has filled them from. At the end it gets the arrays that the variables
    have then; `fit` reads the variables before the next step.
    """
    any_model: Any = model
    state = getattr(any_model, "_jax_state", None)
    if (
        keras.backend.backend() != "jax"
        or not state
        or not any_model._jax_state_synced
    ):
        yield
        return
    for values in (*state.values(), *find_fit_variables(model, state)):
        if isinstance(values, list):
            values.clear()
    try:
        yield
    finally:
        commit_variables(model)


def reset_compiled_functions(
    model: keras.Model, *, inference: bool = True
) -> None:
    """Makes Keras compile the training step again.

    `fit` reads the step function at every step, so the new one is used from
    the next batch on. With `inference`, `evaluate` and `predict` are compiled
    again too, which a change of graph or shapes requires.
    """
    if keras.backend.backend() == "torch":
        _collect_parameters(model)
    any_model: Any = model
    if any_model.train_function is not None:
        any_model.make_train_function(force=True)
    if inference:
        any_model.test_function = None
        any_model.predict_function = None


def is_known(tensor: Any) -> bool:
    """Whether a tensor has a value: no step is being traced or compiled."""
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        return not isinstance(tensor, jax.core.Tracer)
    if backend == "torch":
        import torch

        is_meta = tensor.device.type == "meta"
        return not is_meta and not torch.compiler.is_compiling()
    import tensorflow as tf

    return bool(tf.executing_eagerly())


def without_gradients() -> Any:
    """Returns a context in which torch records no operations."""
    if keras.backend.backend() != "torch":
        return contextlib.nullcontext()
    import torch

    return torch.no_grad()


def clear_losses(layer: keras.Layer) -> None:
    """Removes what the latest call of a layer, and of those in it, added."""
    any_layer: Any = layer
    any_layer._clear_losses()


def keep_rounding(model: Any) -> None:
    """Keeps the arithmetic of a model whose weights become non-trainable.

    The flag `requires_grad` of a weight decides which algorithm torch takes
    for a product of tensors of rank 3 and 2, without gradients too: freezing a
    layer changes the last bit of its outputs. Weights made as trainable ones
    get the flag back; whether an optimizer updates them is up to Keras' own.
    """
    if keras.backend.backend() != "torch":
        return
    for layer in walk_layers(model):
        for variable in layer._trainable_variables:
            variable.value.requires_grad_(True)


def qualify_paths(model: Any, prefix: str) -> None:
    """Puts a name before the paths of the variables of a model.

    torch finds the parameters of a model by path (Keras 3.15). Of two
    variables with one path, in columns with equal layer names, it would miss
    one, whose gradients then add up from step to step.
    """
    for variable in model.variables:
        if not variable.path.startswith(f"{prefix}/"):
            variable._path = f"{prefix}/{variable.path}"


def spoil_values(values: Iterable[Any]) -> None:
    """Makes TensorFlow functions fail that have captured discarded weights.

    A function that was traced before an edit would go on training arrays that
    no layer has any more, without an error. The discarded `tf.Variable` gets a
    value of another shape, so that such a function raises
    `InvalidArgumentError` at its next step. Other backends read the weights
    at every step.
    """
    if keras.backend.backend() != "tensorflow":
        return
    import tensorflow as tf

    for value in values:
        # A variable of a distribution strategy has one per device.
        for one in getattr(value, "values", None) or [value]:
            with contextlib.suppress(AttributeError, ValueError):
                tf.raw_ops.AssignVariableOp(
                    resource=one.handle,
                    value=tf.zeros((0,), one.dtype),
                    validate_shape=False,
                )


def _collect_parameters(layer: Any) -> None:
    """Updates the lists of torch parameters that layers made when built."""
    for child in sublayers(layer):
        _collect_parameters(child)
    if layer.built and hasattr(layer, "_torch_params"):
        layer._track_variables()
