"""Monitored metrics in the logs of finished epochs."""

import math
from collections.abc import Iterator, Mapping, Sequence

from keras_netopt.checks import check_choice
from keras_netopt.metric_direction import metric_sign


def check_monitor(monitor: object, mode: object) -> None:
    """Checks the name of a metric and its direction.

    Raises ValueError if `mode` is not "auto", "min" or "max", or is "auto"
    and the name does not determine the direction.
    """
    if not isinstance(monitor, str):
        raise TypeError(
            "Argument `monitor` must be a string, a key of the logs. "
            f"Received: monitor={monitor!r}"
        )
    check_choice(mode, "mode", ("auto", "min", "max"))
    if mode == "auto" and metric_sign(monitor) == 0:
        raise ValueError(
            "Argument `mode` must be 'min' or 'max' for a metric whose name "
            f"does not determine the direction. Received: monitor={monitor!r}, "
            "mode='auto'"
        )


def monitored_values(
    logs: Sequence[Mapping[str, float]], monitor: str
) -> Iterator[tuple[int, float]]:
    """Yields number and value of the epochs that have the metric.

    `logs` hold the number of complete epochs as "epoch".
    """
    for epoch in logs:
        if monitor in epoch:
            yield int(epoch["epoch"]), float(epoch[monitor])


def is_improvement(
    value: float,
    best: float | None,
    monitor: str,
    mode: str = "auto",
    min_delta: float = 0.0,
) -> bool:
    """Returns whether a value is better than the best by over `min_delta`.

    A value that is not finite is never better.
    """
    if not math.isfinite(value):
        return False
    if best is None:
        return True
    sign = {"min": -1, "max": 1}.get(mode) or metric_sign(monitor)
    return sign * (value - best) > min_delta
