"""The result of a morphism search, beside its controls."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from keras_netopt.report import Report
from keras_netopt.search.morphism.morphism_trial import MorphismTrial, lineage
from keras_netopt.tables import render

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class MorphismReport(Report):
    """The best network of a search, its parent and the controls.

    `print` shows a table; `plot` draws the family tree.

    Example:

    >>> from keras_netopt.search.morphism import MorphismReport, MorphismTrial
    >>> first = MorphismTrial(0, "parent", score=0.8, params=90, spent=600)
    >>> child = MorphismTrial(1, "child", 0, score=0.9, params=99, spent=700)
    >>> report = MorphismReport("val_accuracy", 1, (first, child), 1)
    >>> report.gain, report.spent
    (0.1, 1300)

    Args:
        objective: Name of the log that was improved.
        sign: 1 if a higher value is better, else -1.
        trials: All trained networks, controls included.
        best: Number of the best network.
        end: Why the search ended early. Defaults to `""`: it did not.
    """

    objective: str
    sign: int
    trials: tuple[MorphismTrial, ...]
    best: int
    end: str = ""

    @property
    def parent(self) -> MorphismTrial:
        """The network from which the search started."""
        return self.trials[0]

    @property
    def best_trial(self) -> MorphismTrial:
        """The best network."""
        return self.trials[self.best]

    @property
    def lineage(self) -> tuple[MorphismTrial, ...]:
        """The ancestors of the best network, oldest first, and itself."""
        return tuple(lineage(self.best_trial, self.trials))

    @property
    def gain(self) -> float | None:
        """By how much the best network is better than the parent."""
        first, last = self.parent.score, self.best_trial.score
        if first is None or last is None:
            return None
        return round(self.sign * (last - first), 12)

    @property
    def spent(self) -> int:
        """Training MACs of the search, without controls."""
        return sum(one.spent for one in self.trials if one.is_searched)

    @property
    def control_spent(self) -> int:
        """Training MACs of the controls."""
        return sum(one.spent for one in self.trials if not one.is_searched)

    @property
    def random_scores(self) -> tuple[float, ...]:
        """Objective at the end of each control with random mutations."""
        return tuple(
            one.score for one in self._ends("random") if one.score is not None
        )

    @property
    def continued_score(self) -> float | None:
        """Objective of the parent, trained on with the same MACs."""
        ends = self._ends("continued")
        return ends[0].score if ends else None

    def plot(self, path: Any = None, *, title: str | None = None) -> "Figure":
        """Draws the family tree: the objective against training MACs.

        Args:
            path: Image file to write. Defaults to `None`: no file.
            title: Title of the figure. Defaults to `None`.

        Raises:
            ImportError: If matplotlib is not installed.
        """
        from keras_netopt import plots

        total, points = 0, []
        line = {one.number for one in self.lineage}
        for one in self.trials:
            if not one.is_searched:
                continue
            total += one.spent
            points.append(
                plots.FamilyMember(
                    number=one.number,
                    parent=one.parent,
                    spent=total,
                    score=one.score,
                    operation=_operation(one),
                    is_ancestor=one.number in line,
                )
            )
        return plots.family_tree(
            points, metric=self.objective, title=title, path=path
        )

    def to_dict(self) -> dict[str, Any]:
        """Returns all trials and the figures as JSON-safe values."""
        return {
            **super().to_dict(),
            "gain": self.gain,
            "spent": self.spent,
            "control_spent": self.control_spent,
            "random_scores": list(self.random_scores),
            "continued_score": self.continued_score,
        }

    def __str__(self) -> str:
        """Shows the best network beside the parent and the controls."""
        head = ["network", self.objective, "params", "MACs", "training MACs"]
        rows = [
            _row("parent", [self.parent], self.trials),
            _row(f"best: trial {self.best}", [self.best_trial], self.trials),
        ]
        if ends := self._ends("random"):
            name = f"random mutations, mean of {len(ends)}"
            rows.append(_row(name, ends, self.trials))
        if ends := self._ends("continued"):
            rows.append(_row("parent, trained on", ends, self.trials))
        children = sum(one.role == "child" for one in self.trials)
        failed = sum(one.status == "FAILED" for one in self.trials)
        lines = [
            render(
                head,
                rows,
                title=f"Morphism search: {children} "
                + ("child" if children == 1 else "children")
                + (f", {failed} of them failed" if failed else ""),
            ),
            "Best: " + " -> ".join(one.title for one in self.lineage),
            f"Training: {self.spent:.3g} MACs in the search, "
            f"{self.control_spent:.3g} in the controls.",
        ]
        if self.best == 0:
            lines.append("No child is better than the parent.")
        elif not self._ends("random"):
            lines.append("No control was trained.")
        else:
            lines.append(
                "The best network was chosen by this objective, the controls "
                "were not: compare them on test data."
            )
        if self.end:
            lines.append(f"The search ended early: {self.end}.")
        return "\n".join(lines)

    def _ends(self, role: str) -> list[MorphismTrial]:
        """Returns the last network of each control of a role."""
        last: dict[int | None, MorphismTrial] = {}
        for one in self.trials:
            if one.role == role:
                last[one.control] = one
        return list(last.values())


def _row(
    name: str,
    ends: Sequence[MorphismTrial],
    trials: Sequence[MorphismTrial],
) -> list[Any]:
    """A row of the table; means of several networks, with their spread."""
    scores = [one.score for one in ends if one.score is not None]
    shown = "-"
    if scores:
        shown = f"{statistics.mean(scores):.4f}"
    if len(scores) > 1:
        shown += f" ± {statistics.stdev(scores):.4f}"
    spent = [sum(own.spent for own in lineage(one, trials)) for one in ends]
    return [
        name,
        shown,
        round(statistics.mean(one.params for one in ends)),
        round(statistics.mean(one.macs for one in ends)),
        f"{statistics.mean(spent):.3g}",
    ]


def _operation(trial: MorphismTrial) -> str:
    names = list(dict.fromkeys(one.operation for one in trial.mutations))
    return names[0] if len(names) == 1 else "several" if names else "none"
