"""What a calibration decided, as data that JSON knows."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from keras_netopt.depth.exits.confidence import to_natural
from keras_netopt.depth.exits.exit_costs import ExitCosts
from keras_netopt.depth.exits.runner import ExitRule
from keras_netopt.depth.exits.threshold_search import ExitPoint

FORMAT = 1
EVERYBODY = 1e30  # An entropy that no answer has.


@dataclass(frozen=True)
class CalibrationGoal:
    """What a calibration is to reach.

    Args:
        kind: "max_accuracy_drop", "max_macs" or "max_latency_ms".
        budget: Its value.
        confidence: Probability with which a drop is bounded, or `None`.
    """

    kind: str
    budget: float
    confidence: float | None = None


@dataclass(frozen=True)
class ExitState:
    """The thresholds and what was measured with them.

    Args:
        rule: When a sample leaves.
        costs: What it costs by exit.
        point: What the thresholds give on the calibration samples.
        points: Every point that was tried.
        accuracies: The accuracy of each exit on all samples.
        samples: Number of calibration samples.
        goal: What was to be reached.
        notes: What was noticed.
    """

    rule: ExitRule
    costs: ExitCosts
    point: ExitPoint
    points: tuple[ExitPoint, ...]
    accuracies: tuple[float, ...]
    samples: int
    goal: CalibrationGoal
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Returns the state in types that JSON knows."""
        criterion = self.rule.criterion
        stages = [
            {
                "threshold": natural(threshold, criterion),
                "cost": cost,
                "expected_exit_fraction": fraction,
                "accuracy_alone": accuracy,
            }
            for threshold, cost, fraction, accuracy in zip(
                self.rule.thresholds,
                self.costs.by_exit,
                self.point.fractions,
                self.accuracies,
                strict=True,
            )
        ]
        stages[-1]["threshold"] = None
        return {
            "format": FORMAT,
            "criterion": criterion,
            "temperature": 1.0,
            "answers": (
                "probabilities" if self.rule.is_probability else "logits"
            ),
            "stages": stages,
            "cost_unit": self.costs.unit,
            "full_cost": self.costs.full,
            "expected_cost": self.point.cost,
            "expected_accuracy": self.point.accuracy,
            "lost": self.point.lost,
            "calibration_samples": self.samples,
            "goal": dataclasses.asdict(self.goal),
            "notes": list(self.notes),
            "curve": [
                [p.cost, p.accuracy, list(p.fractions)] for p in self.points
            ],
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "ExitState":
        """Builds the state again.

        Args:
            content: What `to_dict` returned.

        Raises:
            ValueError: If the format is not known.
        """
        if content.get("format") != FORMAT:
            raise ValueError(
                f"Argument `path` must hold thresholds of format {FORMAT}. "
                f"Received: format={content.get('format')!r}"
            )
        stages, criterion = content["stages"], content["criterion"]
        early = [from_natural(s["threshold"], criterion) for s in stages[:-1]]
        rule = ExitRule(
            criterion,
            (*early, -math.inf),
            content["answers"] == "probabilities",
        )
        point = ExitPoint(
            rule.thresholds,
            tuple(s["expected_exit_fraction"] for s in stages),
            content["expected_accuracy"],
            content["expected_cost"],
            content["lost"],
        )
        return cls(
            rule=rule,
            costs=ExitCosts(
                content["cost_unit"],
                tuple(s["cost"] for s in stages),
                content["full_cost"],
            ),
            point=point,
            points=tuple(
                ExitPoint((), tuple(fractions), accuracy, cost)
                for cost, accuracy, fractions in content["curve"]
            ),
            accuracies=tuple(s["accuracy_alone"] for s in stages),
            samples=content["calibration_samples"],
            goal=CalibrationGoal(**content["goal"]),
            notes=tuple(content["notes"]),
        )


def natural(score: float, criterion: str) -> float | None:
    """Returns a threshold in its own unit; `None`: nobody leaves.

    Example:

    >>> natural(-0.4, "entropy"), natural(math.inf, "margin")
    (0.4, None)
    """
    if score == math.inf:
        return None
    if score == -math.inf:
        return EVERYBODY if criterion == "entropy" else 0.0
    return to_natural(score, criterion)


def from_natural(value: float | None, criterion: str) -> float:
    """Returns the score that a threshold stands for."""
    return math.inf if value is None else to_natural(value, criterion)
