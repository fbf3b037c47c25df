"""The result of a calibration: thresholds, and what they give."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from keras_netopt.depth.exits.exit_costs import ExitCosts, format_cost
from keras_netopt.depth.exits.stage_runner import ExitRule
from keras_netopt.depth.exits.threshold_search import OperatingPoint
from keras_netopt.report import Report
from keras_netopt.tables import render

FORMAT = 1
ALWAYS_ENTROPY = 1e30  # Above the entropy of any prediction.


@dataclass(frozen=True)
class CalibrationGoal:
    """The budget of a calibration.

    `kind` is "max_accuracy_drop", "max_macs" or "max_latency_ms".
    `confidence_level` is the probability with which the drop stays within the
    budget; `None` uses the measured drop.
    """

    kind: str
    budget: float
    confidence_level: float | None = None


@dataclass(frozen=True)
class ExitCalibration(Report):
    """Exit thresholds, with accuracy and cost on the calibration samples.

    `print` shows one row per exit.

    Args:
        exit_names: Names of the exits, the final one last.
        rule: The exit rule.
        costs: Cost by exit.
        point: The chosen thresholds, measured on the calibration samples.
        points: Every point that the search evaluated.
        accuracies: Accuracy of each exit on all samples.
        samples: Number of calibration samples.
        goal: The budget.
        notes: Warnings about the samples.
    """

    exit_names: tuple[str, ...]
    rule: ExitRule
    costs: ExitCosts
    point: OperatingPoint
    points: tuple[OperatingPoint, ...]
    accuracies: tuple[float, ...]
    samples: int
    goal: CalibrationGoal
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Returns the calibration as JSON-safe values."""
        criterion = self.rule.criterion
        stages = [
            {
                "name": name,
                "threshold": score_to_threshold(score, criterion),
                "cost": cost,
                "expected_exit_fraction": fraction,
                "accuracy_alone": accuracy,
            }
            for name, score, cost, fraction, accuracy in zip(
                self.exit_names,
                self.rule.thresholds,
                self.costs.by_exit,
                self.point.fractions,
                self.accuracies,
                strict=True,
            )
        ]
        stages[-1]["threshold"] = None
        is_probability = self.rule.is_probability
        return {
            "format": FORMAT,
            "criterion": criterion,
            "temperature": 1.0,
            "output_type": "probabilities" if is_probability else "logits",
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
    def from_dict(cls, content: dict[str, Any]) -> "ExitCalibration":
        """Builds the calibration from `to_dict`'s result."""
        if content.get("format") != FORMAT:
            raise ValueError(
                f"Argument `path` must hold thresholds of format {FORMAT}. "
                f"Received: format={content.get('format')!r}"
            )
        stages, criterion = content["stages"], content["criterion"]
        early = [
            threshold_to_score(s["threshold"], criterion) for s in stages[:-1]
        ]
        rule = ExitRule(
            criterion,
            (*early, -math.inf),
            content["output_type"] == "probabilities",
        )
        point = OperatingPoint(
            rule.thresholds,
            tuple(s["expected_exit_fraction"] for s in stages),
            content["expected_accuracy"],
            content["expected_cost"],
            content["lost"],
        )
        return cls(
            exit_names=tuple(s["name"] for s in stages),
            rule=rule,
            costs=ExitCosts(
                content["cost_unit"],
                tuple(s["cost"] for s in stages),
                content["full_cost"],
            ),
            point=point,
            points=tuple(
                OperatingPoint((), tuple(fractions), accuracy, cost)
                for cost, accuracy, fractions in content["curve"]
            ),
            accuracies=tuple(s["accuracy_alone"] for s in stages),
            samples=content["calibration_samples"],
            goal=CalibrationGoal(**content["goal"]),
            notes=tuple(content["notes"]),
        )

    def __str__(self) -> str:
        rule, point, costs = self.rule, self.point, self.costs
        rows = [
            [
                name,
                self._threshold_text(k),
                format_percent(point.fractions[k]),
                format_percent(self.accuracies[k]),
                format_cost(costs.by_exit[k], costs.unit),
            ]
            for k, name in enumerate(self.exit_names)
        ]
        for name, share, accuracy, cost in (
            ("expected", "100.0 %", point.accuracy, point.cost),
            ("without exits", "", self.accuracies[-1], costs.full),
        ):
            cells = [format_percent(accuracy), format_cost(cost, costs.unit)]
            rows.append([name, "", share, *cells])
        headers = [
            "exit",
            rule.criterion,
            "exit fraction",
            "accuracy",
            costs.unit,
        ]
        title = f"Exits, calibrated on {self.samples:,} samples"
        table = render(headers, rows, title=title, align="lrrrr")
        return "\n".join([table, *(f"Note: {n}" for n in self._all_notes())])

    def _all_notes(self) -> list[str]:
        notes = list(self.notes)
        if self.point.cost >= self.costs.full:
            notes.append(
                "early exits do not reduce the cost here: the heads cost more "
                "than the skipped stages"
            )
        if self.goal.confidence_level is not None:
            notes.append(
                f"the accuracy drop is at most {100 * self.goal.budget:g} "
                f"points with probability {self.goal.confidence_level:g}"
            )
        return notes

    def _threshold_text(self, k: int) -> str:
        if k == len(self.exit_names) - 1:
            return "-"
        criterion = self.rule.criterion
        value = score_to_threshold(self.rule.thresholds[k], criterion)
        if value is None:
            return "never"
        if value in (0.0, ALWAYS_ENTROPY):
            return "always"
        return f"{'<=' if criterion == 'entropy' else '>='} {value:.4f}"


def format_percent(share: float | None) -> str:
    """Formats a share as a percentage, `None` as "-"."""
    return "-" if share is None else f"{100 * share:.1f} %"


def score_to_threshold(score: float, criterion: str) -> float | None:
    """Converts a score to a threshold in the unit of the criterion.

    A higher score is more confident; that of entropy is negated. The threshold
    `None` disables the exit.
    """
    if score == math.inf:
        return None
    if score == -math.inf:
        return ALWAYS_ENTROPY if criterion == "entropy" else 0.0
    return -score if criterion == "entropy" else score


def threshold_to_score(value: float | None, criterion: str) -> float:
    """Inverts `score_to_threshold`."""
    if value is None:
        return math.inf
    return -value if criterion == "entropy" else value
