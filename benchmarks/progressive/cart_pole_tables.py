"""Tables of transfer between cart poles, made from their JSON alone."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.pruning.tables import markdown
from benchmarks.records import RESULTS, load

ARMS = {
    "scratch": "scratch",
    "progressive": "progressive, alpha 1",
    "progressive_03": "progressive, alpha 0.3",
    "random": "progressive on a random frozen column, alpha 1",
    "wide": "scratch, twice as wide",
    "fine_tune": "fine-tuning of all layers",
    "head_only": "new head on frozen layers",
}
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Results:
    """Results of one family of tasks.

    Args:
        name: Name of the file.
        titles: Titles of the variants.
        floor: Return of no performance, which is subtracted.
    """

    name: str
    titles: Mapping[str, str]
    floor: float = 0.0

    def rows(self) -> Rows:
        """Returns the measured rows."""
        if not (RESULTS / f"{self.name}.json").exists():
            return []
        rows = load(self.name)["rows"]
        return [{**row, "curve": fill(row["curve"])} for row in rows]

    def ratios(self, arm: str) -> dict[str, list[float]]:
        """Returns ratios to scratch by variant, in the order of the seeds."""
        areas = {
            (row["arm"], row["variant"], row["seed"]): mean(row["curve"])
            for row in self.rows()
        }
        found: dict[str, list[float]] = {}
        for (name, variant, seed), area in sorted(areas.items()):
            base = areas.get(("scratch", variant, seed))
            if name == arm and base is not None:
                ratio = (area - self.floor) / (base - self.floor)
                found.setdefault(variant, []).append(ratio)
        return found

    def ratio_table(self) -> str:
        """Returns the transfer score of each arm on each variant."""
        body = []
        for arm, title in ARMS.items():
            found = self.ratios(arm)
            if not found:
                continue
            every = [one for values in found.values() for one in values]
            seeds = [mean(one) for one in zip(*found.values(), strict=False)]
            body.append(
                [
                    title,
                    *(
                        median(found.get(variant, []))
                        for variant in self.titles
                    ),
                    f"{mean(every):.2f}",
                    median(every),
                    f"{min(seeds):.2f}-{max(seeds):.2f}",
                ]
            )
        head = ["arm", *self.titles.values(), "mean", "median"]
        head += ["seeds, lowest-highest"]
        return markdown(head, body)

    def return_table(self) -> str:
        """Returns the mean returns, and what is left of the first task."""
        body = []
        for arm, title in ARMS.items():
            rows = [row for row in self.rows() if row["arm"] == arm]
            if not rows:
                continue
            kept = [row for row in rows if "first_task_change" in row]
            changes = [row["first_task_change"] for row in kept]
            left = [row["first_task_return"] for row in kept]
            body.append(
                [
                    title,
                    median([row["parameters"] for row in rows], ",.0f"),
                    f"{mean([mean(row['curve']) for row in rows]):.0f}",
                    f"{mean([mean(row['curve'][-3:]) for row in rows]):.0f}",
                    f"{max(changes):.3g}" if changes else "-",
                    f"{min(left):.0f}" if left else "-",
                ]
            )
        head = ["arm", "parameters", "mean return", "last three epochs"]
        head += ["largest change of logits of the first task"]
        head += ["lowest return of the first task afterwards"]
        firsts = [r["greedy"] for r in self.rows() if r["arm"] == "first"]
        note = (
            f"{len(firsts)} seeds; greedy returns of the first policies: "
            f"{', '.join(f'{one:.0f}' for one in firsts)}."
        )
        return f"{markdown(head, body)}\n\n{note}"

    def environment_note(self) -> str:
        """Returns date, command and environment of the measurements."""
        if not (RESULTS / f"{self.name}.json").exists():
            return "Not measured yet."
        lines = []
        for run in load(self.name)["runs"]:
            facts = run["environment"]
            lines.append(
                f"- `{run['command']}`, {run['date'][:10]}, backend "
                f"{facts['backend']}: {facts['cores']} cores of "
                f"{facts['processor']}, Python {facts['python']}, keras "
                f"{facts['keras']}, jax {facts['jax']}."
            )
        return "\n".join(dict.fromkeys(lines))

    def tables(self, title: str) -> dict[str, Callable[[], str]]:
        """Returns the tables by the names that the page uses."""
        return {
            f"{title} environment": self.environment_note,
            f"{title} ratios": self.ratio_table,
            f"{title} returns": self.return_table,
        }


def fill(curve: list[float | None]) -> list[float]:
    """Returns a curve whose first epochs, without an end, have its next value.

    A policy that starts well ends no episode in its first epoch.
    """
    first = next(one for one in curve if one is not None)
    return [first if one is None else one for one in curve]


def mean(values: Sequence[float]) -> float:
    """Returns the mean."""
    return float(np.mean(values))


def median(values: Sequence[float], form: str = ".2f") -> str:
    """Returns the median as text, a dash for no values."""
    return format(statistics.median(values), form) if values else "-"


CART_POLE = Results(
    "progressive_cart_pole",
    {
        "gravity": "gravity x 2",
        "long_pole": "pole x 2",
        "weak_force": "force x 0.5",
        "mirrored": "actions exchanged",
        "scaled": "observations scaled",
        "noisy": "observations noisy",
    },
)
ACROBOT = Results(
    "progressive_acrobot",
    {"heavy": "masses x 2", "mirrored": "torques exchanged"},
    floor=-500.0,
)
TABLES = {**CART_POLE.tables("cart pole"), **ACROBOT.tables("acrobot")}
