"""Functions of `evaluate` and `predict` for the present `trainable` flags.

Private names of Keras 3.15: `_jax_state`, `_jax_state_synced`,
`_trainable_variables` of an optimizer.
"""

from typing import Any

import keras

_ATTRIBUTE = "_netopt_inference"


def compile_for_flags(model: keras.Model, name: str) -> None:
    """Makes `evaluate` or `predict` right after `trainable` was changed.

    On JAX Keras passes the weights to a compiled function as two lists, the
    trainable ones and the others, and keeps the function if a layer is frozen
    or unfrozen without `compile`. If one layer was frozen and another one
    with equal shapes unfrozen, they exchange their weights in it. So the
    function is compiled again, unless this call made it for the same flags.
    On other backends this function does nothing.

    Args:
        model: A built model.
        name: "test_function" or "predict_function".
    """
    is_jax = keras.backend.backend() == "jax"
    if not is_jax or not isinstance(model, keras.Model):
        return  # An object with a `predict` of its own has no such function.
    any_model: Any = model
    flags = tuple(id(variable) for variable in model.trainable_variables)
    held = vars(model).setdefault(_ATTRIBUTE, {})
    function, known = held.get(name, (None, ()))
    if (
        function is None
        or getattr(model, name) is not function
        or flags != known
    ):
        setattr(model, name, None)
        getattr(any_model, f"make_{name}")()
        held[name] = getattr(model, name), flags


def write_state_back(model: Any) -> bool:
    """Writes a training state back where flags were changed in its epoch.

    The JAX trainer holds the values of an epoch in two lists, and Keras writes
    them back by the present flags: into other variables if a layer was frozen
    or unfrozen since. The optimizer still knows for which variables the state
    was made. Returns whether this was necessary, and done.
    """
    state = getattr(model, "_jax_state", None)
    if not state or model._jax_state_synced:
        return False
    if not state.get("optimizer_variables"):
        return False  # The state of `evaluate` or `predict`.
    trained = getattr(model.optimizer, "_trainable_variables", [])
    ids = {id(variable) for variable in trained}
    if ids == {id(variable) for variable in model.trainable_variables}:
        return False
    others = [v for v in model.variables if id(v) not in ids]
    for variables, name in (
        (trained, "trainable_variables"),
        (others, "non_trainable_variables"),
        (model.optimizer.variables, "optimizer_variables"),
        (model.metrics_variables, "metrics_variables"),
    ):
        for variable, value in zip(variables, state[name], strict=True):
            variable.assign(value)
    model._jax_state_synced = True
    return True
