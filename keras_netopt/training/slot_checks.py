"""Checks before an edit that the optimizer's state can be preserved.

Private names of Keras 3.15: `_variables`.
"""

from typing import Any

import keras

from keras_netopt.training import optimizers
from keras_netopt.training import slot_kinds as kinds
from keras_netopt.training.optimizer_hook import OptimizerHook

_STRATEGIES = (
    "",
    "_DefaultDistributionStrategy",
    "_DefaultDistributionStrategyV1",
    "OneDeviceStrategy",
    "MirroredStrategy",
)


def check_optimizer(model: keras.Model, *, zero_outgoing: bool = False) -> None:
    """Raises an error if an edit cannot preserve the optimizer's state.

    `zero_outgoing`: whether the edit adds units with outgoing weights of zero.
    """
    check_distribution(model)
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None:
        return
    for one in optimizers.all_optimizers(optimizer):
        name = kinds.find_known_class(one)
        reason = kinds.REFUSED.get(name or "")
        if reason is None and zero_outgoing:
            reason = kinds.REFUSED_WITH_ZERO_OUTGOING.get(name or "")
        if reason is not None:
            raise ValueError(
                f"A model with the optimizer {name} does not support this "
                f"edit: {reason}. {_remedy(name)} "
                f"Received: optimizer={optimizer.name!r}"
            )
        _check_structure(model, one)


def check_distribution(model: keras.Model) -> None:
    """Raises an error if several processes or a TPU train the model.

    Several replicas in one process are supported:
    `tf.distribute.MirroredStrategy` and `keras.distribution` on JAX.
    """
    backend, found = keras.backend.backend(), ""
    if backend == "tensorflow":
        strategy = getattr(model, "distribute_strategy", None)
        found = type(strategy).__name__ if strategy is not None else ""
        if found in _STRATEGIES:
            found = ""
    elif backend == "jax" and keras.distribution.distribution() is not None:
        import jax

        if jax.process_count() > 1:
            found = f"{jax.process_count()} processes"
    if found:
        raise ValueError(
            f"The model '{model.name}' is trained with {found}; edits are "
            "tested in one process only: MirroredStrategy on TensorFlow, "
            "keras.distribution on JAX. Edit the model before distributing "
            "it. "
            f"Received: {found}"
        )


def _remedy(name: str | None) -> str:
    if name in kinds.REFUSED:
        return "Compile the model with another optimizer."
    return (
        'Widen with new_units="net2net", deepen with init="identity", or '
        "compile with another optimizer."
    )


def _check_structure(model: keras.Model, optimizer: Any) -> None:
    """Raises an error for unknown variables of a custom optimizer class."""
    is_keras = type(optimizer).__module__.startswith("keras.src.")
    if not optimizer.built or is_keras:
        return
    found = {id(v) for v in OptimizerHook.added_variables(model.optimizer)}
    for _, value in optimizers.slot_lists(optimizer):
        found.update(map(id, value))
    for value in vars(optimizer).values():
        if isinstance(value, keras.Variable):
            found.add(id(value))
    lost = [v.path for v in optimizer._variables if id(v) not in found]
    if lost:
        raise ValueError(
            f"The optimizer {type(optimizer).__name__} has unknown variables, "
            "expected attributes with a list of one variable per trainable "
            "variable, as `add_optimizer_variables` returns it. "
            f"Received: {lost}"
        )
