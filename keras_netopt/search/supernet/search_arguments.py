"""Checks of the arguments of a search that depend on each other."""

from collections.abc import Mapping
from typing import Any

import keras

from keras_netopt.metric_direction import check_direction
from keras_netopt.search.supernet.search_data import SearchData

# How each method may use the options in training; the first is the default.
SAMPLING = {
    "single_path": ("fair", "uniform", "sandwich"),
    "darts": ("mixture", "gumbel"),
}
# Arguments that only one method reads, with their defaults.
OF_ONE_METHOD: dict[str, dict[str, Any]] = {
    "darts": {"order": 1, "architecture_optimizer": None},
    "single_path": {"constraints": (), "progressive_shrinking": False},
}


def check_method(method: str, given: Mapping[str, Any]) -> None:
    """Refuses arguments that only the other method reads.

    Raises:
        ValueError: If there is one that differs from its default.
    """
    for other, defaults in OF_ONE_METHOD.items():
        if other == method:
            continue
        for name, default in defaults.items():
            is_default = isinstance(given[name], type(default))
            if not is_default or given[name] != default:
                raise ValueError(
                    f'Argument `{name}` must be left out unless `method="'
                    f'{other}"`. Received: {name}={given[name]!r}, '
                    f"method={method!r}"
                )


def check_compilation(model: keras.Model) -> None:
    """Refuses torch's compiler, whose steps sample other networks.

    Raises:
        ValueError: If the model is compiled by it.
    """
    if keras.backend.backend() == "torch" and model.jit_compile is True:
        raise ValueError(
            "Argument `jit_compile` of `compile` must be False on torch: there "
            "a compiled step does not give the weights of an uncompiled one. "
            "Received: jit_compile=True"
        )


def check_monitor(monitor: str, logs: Mapping[str, Any] | None) -> None:
    """Refuses a metric that the model does not compute.

    Args:
        monitor: Name of the metric, or "auto".
        logs: The metrics of a batch by name.

    Raises:
        ValueError: If there is no such metric.
    """
    if monitor != "auto" and logs is not None and monitor not in logs:
        raise ValueError(
            "Argument `monitor` must be a metric of the compiled model, one "
            f"of {sorted(logs)}. Received: monitor={monitor!r}"
        )


def check_metric(monitor: Any, mode: Any) -> None:
    """Refuses a metric without a direction, before the training."""
    is_auto = isinstance(monitor, str) and monitor == "auto"
    check_direction("loss" if is_auto else monitor, mode)


def make_optimizer(value: Any) -> Any:
    """Returns the optimizer of the architecture; `None` is the default.

    Raises:
        TypeError: If there is no such optimizer.
    """
    if value is None:
        return keras.optimizers.Adam(3e-3, beta_1=0.5)
    try:
        return keras.optimizers.get(value)
    except Exception as error:  # KeyError for a dictionary.
        raise TypeError(
            "Argument `architecture_optimizer` must be a Keras optimizer, or "
            f"its name. Received: architecture_optimizer={value!r}"
        ) from error


def check_data(
    method: str, order: int, data: SearchData, *, has_norm: bool = False
) -> str | None:
    """Refuses data on which the method cannot search.

    Args:
        method: The method.
        order: Order of the gradient.
        data: The data of `fit`.
        has_norm: Whether the model has batch normalization.

    Returns:
        What the data are not intended for, or `None`.

    Raises:
        ValueError: If "single_path" has no validation data, or "darts" has
            batches in the order of another cycle.
    """
    bilevel = data.bilevel
    if method == "single_path":
        if data.validation is None:
            raise ValueError(
                "Argument `validation_data` must be given, because "
                "architectures are ranked on it: pass arrays (x, y) to the "
                "callback or to `fit`, or train on `search.dataset(x, y)`. "
                f"Received: {data.given}"
            )
        if data.training is None and has_norm:
            return (
                "statistics of batch normalization come from the validation "
                "data, which rank the architectures: the training data can "
                "be read once only. Train on arrays, a `tf.data.Dataset` or "
                "`search.dataset`."
            )
        return None
    if bilevel is not None and bilevel.order != order:
        raise ValueError(
            "Argument `order` must be that of `search.dataset`. Received: "
            f"order={order}, data of order {bilevel.order}"
        )
    if bilevel is None and order == 2:
        raise ValueError(
            "Argument `order` must be 1 unless `fit` trains on "
            "`search.dataset(x, y, batch_size, order=2)`, whose batches come "
            f"in the order of a cycle. Received: order={order}"
        )
    if bilevel is not None:
        return None
    return (
        "the architecture learns from the samples on which the weights train. "
        "Train on `search.dataset(x, y, batch_size)`, which splits them."
    )
