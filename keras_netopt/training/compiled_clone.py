"""Clones a compiled model: class, weights, loss and metrics.

Private name of Keras 3.15: `_compile_config`.
"""

from typing import Any

import keras

from keras_netopt.graph.layers import walk_layers
from keras_netopt.training.backend import sync_variables
from keras_netopt.training.optimizers import innermost_optimizer

# A schedule may begin with a warm-up: its largest rate is looked for.
_STEPS = (0, 10, 100, 1000, 10000)


def clone_compiled(model: keras.Model, learning_rate: Any = None) -> Any:
    """Returns a copy with the same weights and a new optimizer.

    The class of the model and of its optimizer, the losses, the metrics and
    all compile options are kept; the state of the optimizer is not.

    Args:
        model: A built and compiled model, which is not changed.
        learning_rate: A rate or a schedule. Defaults to `None`: that of the
            model's optimizer.

    Raises:
        ValueError: If the model cannot be cloned or compiled again.
    """
    sync_variables(model)
    try:
        copy = _clone(model)
        copy.set_weights(model.get_weights())
    # Layers of users raise errors of any type in `get_config`.
    except Exception as error:
        raise ValueError(
            "Argument `model` must be a model that `keras.models.clone_model` "
            f"can copy, but: {error}. Give its layers a complete "
            f"`get_config`. Received: model={model.name!r}"
        ) from error
    compile_like(copy, model, learning_rate)
    return copy


def compile_like(
    copy: keras.Model, model: keras.Model, learning_rate: Any = None
) -> None:
    """Compiles another model with the arguments of a compiled one.

    Args:
        copy: A model with the outputs of `model`.
        model: A compiled model, which is not changed.
        learning_rate: As in `clone_compiled`.

    Raises:
        ValueError: If the model cannot be compiled again.
    """
    any_model: Any = model
    options = dict(any_model._compile_config.config)
    options["metrics"] = _copy_metrics(options.get("metrics"))
    options["weighted_metrics"] = _copy_metrics(options.get("weighted_metrics"))
    options["optimizer"] = copy_optimizer(model.optimizer, learning_rate)
    options["auto_scale_loss"] = False  # The copy includes the wrapper.
    try:
        copy.compile(**options)
    except Exception as error:
        raise ValueError(
            "Argument `model` must be a model that can be compiled again with "
            f"the arguments of `keras.Model.compile`, but: {error}. "
            f"Received: model={model.name!r} of class {type(model).__name__}"
        ) from error


def copy_optimizer(optimizer: Any, learning_rate: Any = None) -> Any:
    """Returns a new optimizer of the same settings, with another rate."""
    config = optimizer.get_config()
    if learning_rate is not None:
        rate: Any = learning_rate
        if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
            rate = keras.saving.serialize_keras_object(rate)
        place = config
        while "inner_optimizer" in place:
            place = place["inner_optimizer"]["config"]
        place["learning_rate"] = rate
    return type(optimizer).from_config(config)


def initial_learning_rate(optimizer: Any) -> float | None:
    """Returns the learning rate with which an optimizer starts.

    Of a schedule it is the largest rate of a few early steps. It is `None` for
    an optimizer without one learning rate, such as a `MultiOptimizer`.
    """
    config = innermost_optimizer(optimizer).get_config()
    rate = config.get("learning_rate")
    if isinstance(rate, dict):
        schedule = keras.saving.deserialize_keras_object(rate)
        return max(float(schedule(step)) for step in _STEPS)
    return None if rate is None else float(rate)


def _clone(model: keras.Model) -> Any:
    """Clones a model; its loss and metrics need no names that Keras knows.

    Keras compiles the clone of a model of some classes, for which it looks
    the loss up by its name.
    """
    try:
        return keras.models.clone_model(model)
    except Exception:
        classes = {type(one).__name__: type(one) for one in walk_layers(model)}
        config = keras.saving.serialize_keras_object(model)
        config.pop("compile_config", None)
        with keras.saving.custom_object_scope(classes):
            return keras.saving.deserialize_keras_object(
                config, safe_mode=False
            )


def _copy_metrics(metrics: Any) -> Any:
    """Copies metrics, so that the model's own keep their state."""
    if isinstance(metrics, keras.metrics.Metric):
        try:
            return type(metrics).from_config(metrics.get_config())
        except Exception:  # A function in it that no name leads to.
            return metrics
    if isinstance(metrics, dict):
        return {name: _copy_metrics(one) for name, one in metrics.items()}
    if isinstance(metrics, list | tuple):
        return [_copy_metrics(one) for one in metrics]
    return metrics


def compile_again(model: keras.Model, learning_rate: Any) -> None:
    """Gives a compiled model a new optimizer with another learning rate."""
    any_model: Any = model
    options = dict(any_model._compile_config.config)
    options["optimizer"] = copy_optimizer(model.optimizer, learning_rate)
    options["auto_scale_loss"] = False
    model.compile(**options)


def describe_compilation(model: keras.Model) -> dict[str, Any]:
    """Returns optimizer, losses and metrics of a compiled model, JSON-safe.

    Names that Keras numbers are not among them, so that the same code gives
    the same description again.
    """
    any_model: Any = model
    options = any_model._compile_config.config
    names = ("optimizer", "loss", "loss_weights", "metrics", "weighted_metrics")
    found = {name: _describe(options.get(name)) for name in names}
    found["optimizer"] = _describe(model.optimizer)
    return found


def _describe(value: Any) -> Any:
    """Describes a compile argument: its class and its numbers."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, dict):
        return {str(k): _describe(one) for k, one in value.items()}
    if isinstance(value, list | tuple):
        return [_describe(one) for one in value]
    if not hasattr(value, "get_config"):
        return getattr(value, "__name__", type(value).__name__)
    try:
        config = value.get_config()
    except Exception:  # Classes of users raise errors of any type.
        config = {}
    return {
        "class": type(value).__name__,
        **{k: _describe(v) for k, v in config.items() if k != "name"},
    }
