"""Reads a metric out of the logs of finished epochs."""

import math
from collections.abc import Iterator, Mapping, Sequence

from keras_netopt.checks import check_number

LOWER = ("loss", "error", "mse", "mae", "rmse", "perplexity", "divergence")
HIGHER = ("acc", "accuracy", "auc", "precision", "recall", "score", "iou")
MODES = ("auto", "min", "max")


def check_monitor(monitor: object, mode: object) -> None:
    """Refuses a name or a direction that cannot be read.

    Example:

    >>> check_monitor("val_accuracy", "auto")

    Args:
        monitor: Name in the logs.
        mode: "auto", "min" or "max".

    Raises:
        TypeError: If `monitor` is not a string.
        ValueError: If `mode` is another word, or "auto" and the name says
            nothing.
    """
    if not isinstance(monitor, str):
        raise TypeError(
            "Argument `monitor` must be a string, a key of the logs. "
            f"Received: monitor={monitor!r}"
        )
    if mode not in MODES:
        raise ValueError(
            "Argument `mode` must be 'auto', 'min' or 'max'. "
            f"Received: mode={mode!r}"
        )
    if mode == "auto" and _direction(monitor) == 0:
        raise ValueError(
            "Argument `mode` must be 'min' or 'max' for a metric whose name "
            f"does not say which is better. Received: monitor={monitor!r}, "
            "mode='auto'"
        )


def check_not_negative(value: object, name: str) -> None:
    """Refuses what is not a finite number of at least 0.

    Example:

    >>> check_not_negative(1e-4, "min_delta")

    Args:
        value: The number.
        name: Name of the argument that holds it, for the error.

    Raises:
        TypeError: If it is not a number.
        ValueError: If it is not finite or below 0.
    """
    if check_number(value, name) < 0:
        raise ValueError(
            f"Argument `{name}` must be at least 0. Received: {name}={value!r}"
        )


def values(
    epochs: Sequence[Mapping[str, float]], monitor: str
) -> Iterator[tuple[int, float]]:
    """Yields number and value of the epochs that have one.

    Example:

    >>> list(values([{"epoch": 1, "loss": 0.5}, {"epoch": 2}], "loss"))
    [(1, 0.5)]

    Args:
        epochs: Logs with the number of complete epochs as "epoch".
        monitor: Name in the logs.

    Yields:
        Pairs of number and value.
    """
    for logs in epochs:
        if monitor in logs:
            yield int(logs["epoch"]), float(logs[monitor])


def gains(
    value: float,
    best: float | None,
    monitor: str,
    mode: str = "auto",
    min_delta: float = 0.0,
) -> bool:
    """Says whether a value is better than the best one so far.

    Example:

    >>> gains(0.8, 0.7, "accuracy"), gains(0.8, 0.7, "loss")
    (True, False)

    Args:
        value: The new value; one that is not finite is never better.
        best: The best so far, or `None`.
        monitor: Name in the logs.
        mode: "auto", "min" or "max". Defaults to `"auto"`.
        min_delta: By how much it must be better. Defaults to `0.0`.

    Returns:
        Whether it is better by more than `min_delta`.
    """
    if not math.isfinite(value):
        return False
    if best is None:
        return True
    sign = {"min": -1, "max": 1}.get(mode) or _direction(monitor)
    return sign * (value - best) > min_delta


def _direction(monitor: str) -> int:
    last = monitor.lower().replace("-", "_").split("_")[-1]
    if last in HIGHER:
        return 1
    return -1 if last in LOWER else 0
