"""Transfer score: the ratio of the areas under two learning curves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_netopt.checks import check_number
from keras_netopt.metric_direction import check_direction, metric_sign
from keras_netopt.report import Report


@dataclass(frozen=True)
class TransferScore(Report):
    """Ratios of areas under learning curves, one per seed.

    Example:

    >>> score = TransferScore("val_accuracy", "max", (1.0, 1.2))
    >>> print(score)
    transfer score 1.1000 ± 0.1414 (median 1.1000, 2 seeds)

    Args:
        monitor: Name of the compared quantity.
        mode: "max" if larger values are better, else "min".
        ratios: Area of each run divided by the area of its baseline, or the
            inverse in mode "min"; above 1, the run was better.
    """

    monitor: str
    mode: str
    ratios: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean of the ratios."""
        return float(np.mean(self.ratios))

    @property
    def median(self) -> float:
        """Median of the ratios."""
        return float(np.median(self.ratios))

    @property
    def deviation(self) -> float | None:
        """Standard deviation of the ratios, `None` for one seed."""
        if len(self.ratios) < 2:
            return None
        return float(np.std(self.ratios, ddof=1))

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields, mean, median and deviation, JSON-safe."""
        return super().to_dict() | {
            "mean": self.mean,
            "median": self.median,
            "deviation": self.deviation,
        }

    def __str__(self) -> str:
        if self.deviation is None:
            return f"transfer score {self.mean:.4f} (1 seed)"
        return (
            f"transfer score {self.mean:.4f} ± {self.deviation:.4f} "
            f"(median {self.median:.4f}, {len(self.ratios)} seeds)"
        )


def transfer_score(
    history: Any,
    baseline: Any,
    *,
    monitor: str = "val_accuracy",
    mode: str = "auto",
    steps: Sequence[float] | None = None,
    floor: float = 0.0,
) -> TransferScore:
    """Divides the area under a learning curve by that of a baseline.

    The score of progressive networks: the curve of a column with laterals
    against that of a single column trained from scratch with the same budget.
    A score above 1 is not yet transfer, because width alone raises it:
    `measure_transfer` trains the controls as well.

    Example:

    >>> from keras_netopt.progressive import transfer_score
    >>> score = transfer_score([0.6, 0.8, 0.9], [0.5, 0.7, 0.8])
    >>> print(f"{score.mean:.3f}")
    1.150
    >>> transfer_score([2.0, 1.0], [3.0, 3.0], monitor="val_loss").mean
    2.0

    Args:
        history: What `fit` returned, its `history`, or a list of numbers, one
            per epoch. For several seeds a list of those.
        baseline: The same of the baseline, one for each seed of `history`.
        monitor: Key of the logs. Defaults to `"val_accuracy"`.
        mode: "max", "min", or "auto": by the name of `monitor`; in mode "min"
            the ratio is inverted. Defaults to `"auto"`.
        steps: Increasing training steps, one per value of a curve; the area
            is the trapezoid over them. Defaults to `None`: the mean over the
            epochs.
        floor: Value of no performance, which is subtracted from both curves:
            the return of a random policy where returns are negative.
            Defaults to `0.0`.

    Returns:
        The ratios with `.mean`, `.median` and `.deviation`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If curves are empty or of different length, the numbers of
            seeds differ, or an area is not positive.

    Reference:
        Rusu et al., "Progressive Neural Networks", 2016,
        https://arxiv.org/abs/1606.04671.
    """
    check_direction(monitor, mode)
    floor = check_number(floor, "floor")
    mine = read_curves(history, "history", monitor)
    base = read_curves(baseline, "baseline", monitor)
    if mine.shape != base.shape:
        raise ValueError(
            "Arguments `history` and `baseline` must hold as many seeds, and "
            "curves of the same number of epochs. Train both with the same "
            "budget, without early stopping. "
            f"Received: history={_sizes(mine)}, baseline={_sizes(base)}"
        )
    if mode == "auto":
        mode = "min" if metric_sign(monitor) < 0 else "max"
    places = _check_steps(steps, mine.shape[1])
    tops = _areas(mine, "history", places, floor)
    bottoms = _areas(base, "baseline", places, floor)
    if mode == "min":
        tops, bottoms = bottoms, tops
    ratios = tuple(float(ratio) for ratio in tops / bottoms)
    return TransferScore(monitor, mode, ratios)


def read_curves(value: Any, name: str, monitor: str) -> np.ndarray:
    """Returns curves as an array of shape `(seeds, epochs)`."""
    is_one = isinstance(value, keras.callbacks.History | Mapping)
    if isinstance(value, str) or not (
        is_one or isinstance(value, Sequence | np.ndarray)
    ):
        raise TypeError(
            f"Argument `{name}` must be what `fit` returned, a dictionary of "
            "logs, a list of numbers, or a list of those. "
            f"Received: {name}={value!r}"
        )
    if not is_one and len(value) and np.ndim(value[0]) == 0:
        is_one = not isinstance(value[0], keras.callbacks.History | Mapping)
    runs = [value] if is_one else list(value)
    curves = [_read_curve(run, name, monitor) for run in runs]
    lengths = {len(curve) for curve in curves}
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(
            f"Argument `{name}` must hold at least one curve, and curves of "
            "the same length, at least one epoch. Train all seeds for the "
            "same number of epochs. Received: "
            f"{name}=curves of {[len(curve) for curve in curves]} values"
        )
    return np.stack(curves)


def _read_curve(run: Any, name: str, monitor: str) -> np.ndarray:
    logs = getattr(run, "history", run)
    if isinstance(logs, Mapping):
        if monitor not in logs:
            raise ValueError(
                f"Argument `{name}` must hold the monitored quantity "
                f"{monitor!r}; its logs are {sorted(logs)}. Set `monitor`, or "
                "pass `validation_data` to `fit`. "
                f"Received: monitor={monitor!r}"
            )
        logs = logs[monitor]
    try:
        curve = np.asarray(logs, "float64")
    except (TypeError, ValueError):
        curve = np.zeros((0, 0))
    if curve.ndim != 1:
        raise TypeError(
            f"Argument `{name}` must hold numbers, one per epoch. "
            f"Received: {name}={logs!r}"
        )
    return curve


def _check_steps(steps: Any, count: int) -> np.ndarray | None:
    if steps is None:
        return None
    try:
        places = np.asarray(steps, "float64")
    except (TypeError, ValueError):
        places = np.zeros(0)
    if places.shape != (count,) or count < 2 or not (np.diff(places) > 0).all():
        raise ValueError(
            f"Argument `steps` must hold {count} increasing numbers, one per "
            "value of a curve, and at least two. "
            f"Received: steps={steps!r}"
        )
    return places


def _areas(
    curves: np.ndarray, name: str, steps: np.ndarray | None, floor: float
) -> np.ndarray:
    """Returns the mean height of each curve above the floor."""
    heights = curves - floor
    if steps is None:
        areas = heights.mean(axis=1)
    else:
        middles = (heights[:, 1:] + heights[:, :-1]) / 2
        areas = middles @ np.diff(steps) / (steps[-1] - steps[0])
    for seed, area in enumerate(areas):
        if not (np.isfinite(area) and area > 0):
            raise ValueError(
                f"Argument `{name}` must have curves with finite values and a "
                "positive area, because scores are ratios. Set `floor` below "
                "the values if they may be negative, and leave out a run that "
                f"diverged. Received: {name}=area {area:.4g} of run {seed}, "
                f"floor={floor:g}"
            )
    return areas


def _sizes(curves: np.ndarray) -> str:
    return f"{len(curves)} seeds of {curves.shape[1]} epochs"
