"""Report of a warm start: what was copied, resized or left fresh."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from keras_netopt.report import Report
from keras_netopt.tables import render

HEADERS = ("Weight", "Shape", "Source", "What")


@dataclass(frozen=True)
class WarmStartRow:
    """One weight of the model.

    Args:
        key: Its unique name.
        shape: Its shape.
        action: "copied", "resized" (a leading slice was copied) or "fresh".
        source: The name of the weight that it was copied from. Defaults to
            `None`.
        reason: Why it is fresh, which slice was copied, or that a length of
            weight normalization holds norms. Defaults to `""`.
    """

    key: str
    shape: tuple[int, ...]
    action: str
    source: str | None = None
    reason: str = ""

    def cells(self) -> tuple[Any, ...]:
        """Returns the cells of the row in the table."""
        what = f"{self.action}: {self.reason}" if self.reason else self.action
        return self.key, str(self.shape), self.source, what


@dataclass(frozen=True, repr=False)
class WarmStartReport(Report):
    """What `warm_start` did with each weight; prints as a table.

    Args:
        rows: One row per weight, in the order of the model's layers.
        unused: The weights of the source that were not copied.
        name: Name of the model.
        shrink: The factor of the copied values.
        noise: The factor of the initial values that were added.
    """

    rows: tuple[WarmStartRow, ...]
    unused: tuple[str, ...] = ()
    name: str = ""
    shrink: float = 1.0
    noise: float = 0.0

    @property
    def copied(self) -> tuple[str, ...]:
        """The weights that were copied whole."""
        return self._keys("copied")

    @property
    def resized(self) -> tuple[str, ...]:
        """The weights of which a leading slice was copied."""
        return self._keys("resized")

    @property
    def fresh(self) -> tuple[str, ...]:
        """The weights that keep their values."""
        return self._keys("fresh")

    def __str__(self) -> str:
        table = render(
            HEADERS,
            [row.cells() for row in self.rows],
            title=f'Warm start of "{self.name}"',
            align="llll",
        )
        counts = Counter(row.action for row in self.rows)
        lines = [
            table.rstrip("\n"),
            f"{counts['copied']} copied, {counts['resized']} resized, "
            f"{counts['fresh']} fresh.",
        ]
        if (self.shrink, self.noise) != (1.0, 0.0):
            lines.append(
                f"Trained weights: {self.shrink:g} x source + "
                f"{self.noise:g} x initial values."
            )
        if self.unused:
            lines.append(f"Not used: {', '.join(self.unused)}.")
        return "\n".join(lines)

    def _keys(self, action: str) -> tuple[str, ...]:
        return tuple(row.key for row in self.rows if row.action == action)
