"""Rules that end a training by its own curves. Pure: lists of numbers in.

One value an epoch, losses: lower is better. The names are those of Prechelt,
"Early stopping - but when?", 1998.
"""

import math
from collections.abc import Sequence

# By rule: the threshold where none is asked for.
THRESHOLDS = {"GL": 2.0, "PQ": 0.75, "UP": 2}
Curve = Sequence[float]


def generalization_loss(losses: Curve) -> float:
    """Tells how far the last loss is above the lowest so far, in percent.

    Example:

    >>> generalization_loss([1.0, 0.5, 0.75])
    50.0

    Args:
        losses: Losses on held-out data, one an epoch, at least one.

    Returns:
        The percentage, `nan` where the lowest loss is below 0 and a ratio to
        it means nothing.
    """
    last, lowest = losses[-1], min(losses)
    if last == lowest:
        return 0.0
    if lowest <= 0.0:
        return math.inf if lowest == 0.0 else math.nan
    return 100.0 * (last / lowest - 1.0)


def training_progress(losses: Curve) -> float:
    """Tells how much training losses moved in a strip of epochs, in 1/1000.

    Example:

    >>> training_progress([1.5, 1.0, 1.25])
    250.0

    Args:
        losses: The training losses of the strip, at least one.

    Returns:
        How far their mean is above the lowest of them, in thousandths; `nan`
        where the lowest is below 0.
    """
    lowest = min(losses)
    if max(losses) == lowest:
        return 0.0
    if lowest <= 0.0:
        return math.inf if lowest == 0.0 else math.nan
    return 1000.0 * (math.fsum(losses) / len(losses) / lowest - 1.0)


def rises(losses: Curve, strip: int) -> int:
    """Counts the last strips, one after the other, over which a loss rose.

    Example:

    >>> rises([5.0, 1.0, 9.0, 2.0, 0.0, 3.0], 2)  # 1, 2, 3 at the ends
    2

    Args:
        losses: Losses on held-out data, one an epoch.
        strip: Epochs of a strip; what is behind the last whole one is left
            out.

    Returns:
        The number of strips.
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
    """Says whether training should end behind the last epoch of the curves.

    Example:

    >>> curve = [1.0, 0.9, 0.95, 1.0]
    >>> should_stop("GL", curve, [], threshold=5.0, strip=2)
    True
    >>> should_stop("UP", curve, [], threshold=2, strip=2)
    False

    Args:
        rule: "GL", "PQ" or "UP".
        losses: Losses on held-out data, one an epoch.
        training: Training losses of the same epochs; only "PQ" reads them.
        threshold: What must be exceeded; with "UP", how many strips.
        strip: Epochs of a strip; "PQ" and "UP" say nothing within one.
    """
    if not losses:
        return False
    loss = generalization_loss(losses)
    if rule == "GL":
        return loss > threshold
    if len(losses) % strip:
        return False
    if rule == "UP":
        return rises(losses, strip) >= threshold
    # GL / P > threshold, also where training stands still and P is 0.
    return loss > threshold * training_progress(training[-strip:])


def stop_epoch(
    rule: str,
    losses: Curve,
    training: Curve,
    *,
    threshold: float,
    strip: int = 5,
) -> int | None:
    """Finds where a rule would have ended a training, from its whole curves.

    Example:

    >>> stop_epoch("GL", [1.0, 0.9, 0.95, 1.0], [], threshold=5.0)
    2

    Args:
        rule: "GL", "PQ" or "UP".
        losses: Losses on held-out data, one an epoch.
        training: Training losses of the same epochs; only "PQ" reads them.
        threshold: What must be exceeded; with "UP", how many strips.
        strip: Epochs of a strip. Defaults to `5`.

    Returns:
        The last epoch, from 0, or `None` where the rule lets it run.
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
