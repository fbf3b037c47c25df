"""The result of `transfer_matrix`: scores from each task to each other one."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_netopt import tables
from keras_netopt.paired_difference import format_spread, paired_difference
from keras_netopt.progressive.transfer_report import CONTROLS
from keras_netopt.report import Report


@dataclass(frozen=True, eq=False)
class TransferMatrix(Report):
    """Transfer scores from each task to each other one, and the controls.

    Example:

    >>> import numpy as np
    >>> ratios = np.array([[[np.nan, 1.2], [1.0, np.nan]]] * 2)
    >>> controls = {"random_column": np.array([[1.0, 1.0]] * 2),
    ...             "equal_width": np.array([[1.1, 1.1]] * 2)}
    >>> matrix = TransferMatrix(("a", "b"), ratios, controls, "val_accuracy")
    >>> matrix.is_transfer("a", "b"), matrix.is_transfer("b", "a")
    (True, False)

    Args:
        tasks: Names of the tasks.
        ratios: Array of shape `(seeds, tasks, tasks)`: area of the curve of a
            column that reads the first task and learns the second one,
            divided by that of scratch, or the inverse in mode "min"; NaN on
            the diagonal.
        controls: Scores of "random_column" and "equal_width", arrays of shape
            `(seeds, tasks)`; NaN where a control could not be trained.
        monitor: Name of the monitored quantity.
        mode: "max" if larger values are better, or "min". Defaults to
            `"max"`.
        ceilings: Highest possible score on each task, `None` where that is
            not known. Defaults to `()`.
    """

    tasks: tuple[str, ...]
    ratios: np.ndarray
    controls: Mapping[str, np.ndarray]
    monitor: str
    mode: str = "max"
    ceilings: tuple[float | None, ...] = ()

    def is_transfer(self, source: str, target: str) -> bool:
        """Returns whether a score is above 1 and above both controls.

        That is, beyond the paired 95 % intervals, which need two seeds.
        """
        i, j = self.tasks.index(source), self.tasks.index(target)
        mine = np.asarray(self.ratios)[:, i, j]
        others = [np.ones_like(mine)]
        others += [np.asarray(self.controls[name])[:, j] for name in CONTROLS]
        for other in others:
            gain = paired_difference(source, mine, other)
            if gain.low is None or not gain.low > 0:
                return False
        return True

    def table(self) -> tuple[list[str], np.ndarray]:
        """Returns names and mean scores: sources, then controls, by target."""
        rows = [*self.tasks, *(words for words in CONTROLS.values())]
        means = np.mean(self.ratios, axis=0)
        controls = [np.mean(self.controls[name], axis=0) for name in CONTROLS]
        return rows, np.concatenate([means, np.stack(controls)])

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Plots the mean scores, see `plots.transfer_heatmap`."""
        from keras_netopt import plots

        return plots.transfer_heatmap(self, path=path)

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields, JSON-safe; `None` for NaN."""
        found = super().to_dict()
        return found | {
            "ratios": _without_nan(found["ratios"]),
            "controls": _without_nan(found["controls"]),
        }

    def __str__(self) -> str:
        rows: list[list[Any]] = []
        for i, source in enumerate(self.tasks):
            cells = []
            for j, target in enumerate(self.tasks):
                text = _format(np.asarray(self.ratios)[:, i, j])
                mark = i != j and self.is_transfer(source, target)
                cells.append(f"{text} *" if mark else text)
            rows.append([source, *cells])
        for name, words in CONTROLS.items():
            scores = np.asarray(self.controls[name]).T
            rows.append([f"{words} (control)", *map(_format, scores)])
        if any(one is not None for one in self.ceilings):
            highest = [f"{c:.4f}" if c else "-" for c in self.ceilings]
            rows.append(["highest possible", *highest])
        title = (
            f"Transfer score from each task to each new one ({self.monitor}; "
            f"paired seeds: {len(self.ratios)})"
        )
        headers = ["learned before", *self.tasks]
        align = "l" + "r" * len(self.tasks)
        table = tables.render(headers, rows, title=title, align=align)
        note = "* above 1 and both controls, beyond the paired 95 % intervals"
        if len(self.ratios) < 2:
            note += ", which need two seeds"
        return f"{table}\n{note}"


def _format(values: np.ndarray) -> str:
    return "-" if np.isnan(values).any() else format_spread(values)


def _without_nan(values: Any) -> Any:
    if isinstance(values, dict):
        return {name: _without_nan(one) for name, one in values.items()}
    if isinstance(values, list):
        return [_without_nan(one) for one in values]
    is_nan = isinstance(values, float) and np.isnan(values)
    return None if is_nan else values
