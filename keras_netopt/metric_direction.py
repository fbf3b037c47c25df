"""Whether larger or smaller values of a metric are better, by its name."""

import re
from collections.abc import Mapping
from typing import Any

from keras_netopt.checks import check_choice

LOWER = (
    "crossentropy divergence entropy error hinge loss mae mape mse msle "
    "perplexity poisson rmse false_positives false_negatives"
).split()
HIGHER = (
    "acc accuracy auc correlation iou io_u precision recall score sensitivity "
    "similarity specificity true_positives true_negatives"
).split()


def metric_sign(name: str) -> int:
    """Returns 1 if larger values are better, -1 if smaller, 0 if unknown.

    The last word decides, without the number that Keras appends to names that
    occur twice.

    Example:

    >>> metric_sign("val_binary_crossentropy"), metric_sign("AUC_1")
    (-1, 1)
    >>> metric_sign("bleu")
    0
    """
    text = re.sub(r"[\s-]", "_", name.lower())
    text = "_" + re.sub(r"(_\d+)+$", "", text)
    if text.endswith(tuple(f"_{word}" for word in HIGHER)):
        return 1
    return -1 if text.endswith(tuple(f"_{word}" for word in LOWER)) else 0


def check_direction(monitor: object, mode: object) -> None:
    """Checks the name of a metric and its direction.

    Raises:
        TypeError: If `monitor` is no string.
        ValueError: If `mode` is not "auto", "min" or "max", or is "auto" and
            the name does not determine the direction.
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


def resolve_monitor(monitor: str | None, logs: Mapping[str, Any]) -> str:
    """Returns the key of the logs to compare.

    `None` is "val_accuracy" if it is in the logs, else "val_loss".

    Example:

    >>> resolve_monitor(None, {"loss": 0.5, "val_loss": 0.6})
    'val_loss'

    Raises:
        ValueError: If the key is not in the logs.
    """
    if monitor is None:
        return "val_accuracy" if "val_accuracy" in logs else "val_loss"
    if monitor not in logs:
        raise ValueError(
            f"Argument `monitor` must be one of the logs {sorted(logs)}. "
            f"Received: monitor={monitor!r}"
        )
    return monitor
