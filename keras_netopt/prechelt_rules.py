"""Prechelt's rules of early stopping, as functions of learning curves.

Curves are lists of losses, one value per epoch, lower is better. The names
are those of Prechelt, "Early stopping - but when?", 1998.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from keras_netopt.report import Report

# Default threshold by rule.
THRESHOLDS = {"GL": 2.0, "PQ": 0.75, "UP": 2}
Curve = Sequence[float]


@dataclass(frozen=True)
class EarlyStoppingReport(Report):
    """The result of early stopping in one `fit`.

    Fields count epochs from 0, as Keras' callbacks do; the printed text
    counts them from 1, as Keras prints them.

    Example:

    >>> print(EarlyStoppingReport("GL", 2.0, "val_loss", 3, 0.5, 7))
    GL 2: stopped after epoch 8; lowest val_loss 0.5 in epoch 4

    Args:
        rule: "GL", "PQ" or "UP".
        threshold: The threshold of the rule.
        monitor: The monitored key of the logs.
        best_epoch: The epoch with the lowest value, from 0.
        best_value: The lowest value.
        stopped_epoch: The last epoch, from 0; `None` without an early stop.
    """

    rule: str
    threshold: float
    monitor: str
    best_epoch: int
    best_value: float
    stopped_epoch: int | None

    def __str__(self) -> str:
        end = "not stopped early"
        if self.stopped_epoch is not None:
            end = f"stopped after epoch {self.stopped_epoch + 1}"
        return (
            f"{self.rule} {self.threshold:g}: {end}; lowest {self.monitor} "
            f"{self.best_value:.4g} in epoch {self.best_epoch + 1}"
        )


def generalization_loss(losses: Curve) -> float:
    """Returns how far the last loss is above the lowest so far, in percent.

    It is `nan` where the lowest loss is below 0: a ratio to it is undefined.
    """
    last, lowest = losses[-1], min(losses)
    if last == lowest:
        return 0.0
    if lowest <= 0.0:
        return math.inf if lowest == 0.0 else math.nan
    return 100.0 * (last / lowest - 1.0)


def training_progress(losses: Curve) -> float:
    """Returns the training progress in a strip of epochs, in thousandths.

    It is how far the mean of the strip's training losses is above their lowest
    value, and `nan` where the lowest is below 0.
    """
    lowest = min(losses)
    if max(losses) == lowest:
        return 0.0
    if lowest <= 0.0:
        return math.inf if lowest == 0.0 else math.nan
    return 1000.0 * (math.fsum(losses) / len(losses) / lowest - 1.0)


def count_rises(losses: Curve, strip: int) -> int:
    """Counts the successive last strips of epochs over which a loss rose.

    Epochs after the last whole strip are ignored.
    """
    ends = losses[strip - 1 :: strip]
    count = 0
    while count < len(ends) - 1 and ends[-count - 1] > ends[-count - 2]:
        count += 1
    return count


def should_stop(
    rule: str,
    losses: Curve,
    training: Curve,
    *,
    threshold: float,
    strip: int,
) -> bool:
    """Returns whether training should stop after the last epoch.

    Args:
        rule: "GL", "PQ" or "UP".
        losses: Losses on held-out data, one per epoch.
        training: Training losses of the same epochs; only "PQ" reads them.
        threshold: Value to exceed; with "UP", the number of strips.
        strip: Epochs per strip; "PQ" and "UP" act at the end of a strip.
    """
    if not losses:
        return False
    loss = generalization_loss(losses)
    if rule == "GL":
        return loss > threshold
    if len(losses) % strip:
        return False
    if rule == "UP":
        return count_rises(losses, strip) >= threshold
    # GL / P > threshold, written without a division as P may be 0.
    return loss > threshold * training_progress(training[-strip:])


def find_stop_epoch(
    rule: str,
    losses: Curve,
    training: Curve,
    *,
    threshold: float,
    strip: int = 5,
) -> int | None:
    """Returns the epoch, from 0, at which `should_stop` is first true.

    The curves are whole; `None` where the rule does not stop.
    """
    for epoch in range(len(losses)):
        seen = slice(epoch + 1)
        if should_stop(
            rule,
            losses[seen],
            training[seen],
            threshold=threshold,
            strip=strip,
        ):
            return epoch
    return None
