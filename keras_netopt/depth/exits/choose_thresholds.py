"""From what was measured to thresholds."""

import math

import numpy as np

from keras_netopt.depth.exits import threshold_search as search
from keras_netopt.depth.exits.exit_costs import ExitCosts
from keras_netopt.depth.exits.exit_state import CalibrationGoal, ExitState
from keras_netopt.depth.exits.measured_exits import MeasuredExits
from keras_netopt.depth.exits.runner import ExitRule


def choose_thresholds(
    measured: MeasuredExits,
    costs: ExitCosts,
    goal: CalibrationGoal,
    criterion: str,
    notes: tuple[str, ...] = (),
) -> ExitState:
    """Chooses thresholds that reach a goal on measured samples.

    Args:
        measured: How sure and how right each exit is.
        costs: What a sample costs by exit.
        goal: What is to be reached.
        criterion: What says how sure an answer is.
        notes: What was noticed before. Defaults to `()`.

    Returns:
        The thresholds and what they give.

    Raises:
        ValueError: If a budget cannot be reached.
    """
    scores, correct = measured.scores, measured.correct
    by_exit = np.array(costs.by_exit)
    points = search.sweep(scores, correct, by_exit)
    chosen = _choose(goal, points, measured)
    thresholds = settle(scores, chosen.thresholds)
    return ExitState(
        rule=ExitRule(criterion, thresholds, measured.is_probability),
        costs=costs,
        point=search.evaluate_point(scores, correct, by_exit, thresholds),
        points=points,
        accuracies=measured.accuracies,
        samples=measured.samples,
        goal=goal,
        notes=notes,
    )


def settle(
    scores: np.ndarray, thresholds: tuple[float, ...]
) -> tuple[float, ...]:
    """Moves each threshold half way to the next less sure sample.

    The sample that set it stays on its side when another batch size rounds
    its score the other way.

    Example:

    >>> settle(np.array([[0.5, 1.0], [1.0, 1.0]]), (1.0, -math.inf))
    (0.75, -inf)

    Args:
        scores: Shape `(samples, exits)`.
        thresholds: One an exit, each a score or infinite.

    Returns:
        Thresholds that decide alike on these samples.
    """
    found = []
    for k, threshold in enumerate(thresholds):
        below = scores[scores[:, k] < threshold, k]
        above = scores[scores[:, k] >= threshold, k]
        if math.isfinite(threshold) and len(below) and len(above):
            threshold = float((below.max() + above.min()) / 2)
        found.append(threshold)
    return tuple(found)


def _choose(
    goal: CalibrationGoal,
    points: tuple[search.ExitPoint, ...],
    measured: MeasuredExits,
) -> search.ExitPoint:
    if goal.kind == "max_accuracy_drop":
        return search.cheapest_within(
            points,
            measured.full_accuracy,
            goal.budget,
            samples=measured.samples,
            confidence=goal.confidence,
        )
    point = search.best_within(points, goal.budget)
    if point is None:
        cheapest = points[0]
        raise ValueError(
            f"Argument `{goal.kind}` must be at least {cheapest.cost:,.6g}, "
            "what the cheapest point costs (accuracy "
            f"{cheapest.accuracy:.4f}). Received: "
            f"{goal.kind}={goal.budget:,.6g}"
        )
    return point
