"""Chooses exit thresholds from measured scores."""

import math

import numpy as np

from keras_netopt.depth.exits import threshold_search as search
from keras_netopt.depth.exits.exit_calibration import (
    CalibrationGoal,
    ExitCalibration,
)
from keras_netopt.depth.exits.exit_costs import ExitCosts
from keras_netopt.depth.exits.measured_exits import MeasuredExits
from keras_netopt.depth.exits.stage_runner import ExitRule


def choose_thresholds(
    exit_names: tuple[str, ...],
    measured: MeasuredExits,
    costs: ExitCosts,
    goal: CalibrationGoal,
    criterion: str,
    notes: tuple[str, ...] = (),
) -> ExitCalibration:
    """Chooses the thresholds that meet a budget on measured samples.

    Raises ValueError if the budget cannot be met.
    """
    scores, correct = measured.scores, measured.correct
    by_exit = np.array(costs.by_exit)
    points = search.sweep_thresholds(scores, correct, by_exit)
    chosen = _choose_point(goal, points, measured)
    thresholds = center_thresholds(scores, chosen.thresholds)
    return ExitCalibration(
        exit_names=exit_names,
        rule=ExitRule(criterion, thresholds, measured.is_probability),
        costs=costs,
        point=search.evaluate_thresholds(scores, correct, by_exit, thresholds),
        points=points,
        accuracies=measured.accuracies,
        samples=measured.samples,
        goal=goal,
        notes=notes,
    )


def center_thresholds(
    scores: np.ndarray, thresholds: tuple[float, ...]
) -> tuple[float, ...]:
    """Moves each threshold halfway to the next lower score.

    Scores of shape `(samples, exits)` are rounded differently at other batch
    sizes; the margin keeps the sample that defined the threshold on its side.
    The decisions on these samples do not change.

    Example:

    >>> center_thresholds(np.array([[0.5, 1.0], [1.0, 1.0]]), (1.0, -math.inf))
    (0.75, -inf)
    """
    centered = []
    for k, threshold in enumerate(thresholds):
        below = scores[scores[:, k] < threshold, k]
        above = scores[scores[:, k] >= threshold, k]
        if math.isfinite(threshold) and len(below) and len(above):
            threshold = float((below.max() + above.min()) / 2)
        centered.append(threshold)
    return tuple(centered)


def _choose_point(
    goal: CalibrationGoal,
    points: tuple[search.OperatingPoint, ...],
    measured: MeasuredExits,
) -> search.OperatingPoint:
    if goal.kind == "max_accuracy_drop":
        return search.cheapest_within_drop(
            points,
            measured.full_accuracy,
            goal.budget,
            samples=measured.samples,
            confidence_level=goal.confidence_level,
        )
    point = search.most_accurate_within(points, goal.budget)
    if point is None:
        cheapest = points[0]
        raise ValueError(
            f"Argument `{goal.kind}` must be at least {cheapest.cost:,.6g}, "
            "the cost of the cheapest point (accuracy "
            f"{cheapest.accuracy:.4f}). Received: "
            f"{goal.kind}={goal.budget:,.6g}"
        )
    return point
