"""Makes objects of tf_keras out of those of Keras 3."""

import inspect
from typing import Any

import keras

# By kind: the class of Keras 3 and the module of tf_keras.
_KINDS = (
    (keras.optimizers.Optimizer, "optimizers"),
    (keras.losses.Loss, "losses"),
    (keras.metrics.Metric, "metrics"),
    (keras.optimizers.schedules.LearningRateSchedule, "optimizers.schedules"),
)


def convert_objects(value: Any) -> Any:
    """Replaces optimizers, losses and metrics of Keras 3, in structures too.

    Strings, numbers, own functions and objects of tf_keras stay as they are.

    Args:
        value: An argument of `compile`.

    Raises:
        TypeError: If tf_keras has no such class, or the class lacks an
            argument that was set.
    """
    if isinstance(value, list | tuple):
        return type(value)(convert_objects(one) for one in value)
    if isinstance(value, dict):
        return {key: convert_objects(one) for key, one in value.items()}
    for kind, module in _KINDS:
        if isinstance(value, kind):
            return _convert(value, module)
    if isinstance(value, keras.callbacks.Callback):
        raise _refuse_callback(value)
    if inspect.isfunction(value) and value.__module__.startswith("keras.src."):
        return _convert_function(value)
    return value


def _convert(value: Any, module: str) -> Any:
    import tf_keras

    name = type(value).__name__
    home = tf_keras
    for part in module.split("."):
        home = getattr(home, part)
    twin = getattr(home, name, None)
    if twin is None or type(value).__module__.split(".")[0] != "keras":
        raise _refuse(value, module)
    config = dict(value.get_config())
    rate = config.get("learning_rate")
    if isinstance(rate, dict):
        schedule = keras.optimizers.schedules.deserialize(rate)
        config["learning_rate"] = convert_objects(schedule)
    config.pop("dtype", None)
    known = inspect.signature(twin.__init__).parameters
    defaults = inspect.signature(type(value).__init__).parameters
    for key in [key for key in config if key not in known]:
        given = config.pop(key)
        if key not in defaults or given == defaults[key].default:
            continue
        raise TypeError(
            f"tf_keras.{module}.{name} has no argument {key!r}. "
            f"Received: {key}={given!r}. Pass an object of tf_keras.{module}."
        )
    return twin(**config)


def _convert_function(value: Any) -> Any:
    """Finds the loss or metric of tf_keras with the name of one of Keras."""
    import tf_keras

    for module in (tf_keras.losses, tf_keras.metrics):
        twin = getattr(module, value.__name__, None)
        if twin is not None:
            return twin
    raise _refuse(value, "losses")


def _refuse_callback(value: keras.callbacks.Callback) -> TypeError:
    name = type(value).__name__
    return TypeError(
        "Argument `callbacks` must hold callbacks of tf_keras, which trains "
        f"the model. Received: {value!r}. Use `tf_keras.callbacks.{name}`, "
        "where it exists."
    )


def _refuse(value: Any, module: str) -> TypeError:
    return TypeError(
        f"An object of tf_keras.{module} is required, because tf_keras trains "
        f"the model. Received: {value!r}, which has no counterpart there."
    )
