"""Monitored metrics in the logs of finished epochs."""

import math
from collections.abc import Iterator, Mapping, Sequence

from keras_netopt.metric_direction import metric_sign


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
