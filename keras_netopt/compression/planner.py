"""Finds the widths at which the file of a route meets the target."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from keras_netopt.compression.probe import Probe
from keras_netopt.compression.width_solver import WidthSolver

MARGINS = {"latency_ratio": 0.985, "kilobytes": 0.995, "gzip_kilobytes": 0.98}
TOLERANCE = 0.04  # Part of the strictest limit that may be unused.
PROBES = 6
MOST = 2.5  # By which a demand grows at once.

Widths = dict[str, int]
Measure = Callable[[Widths], Probe]


@dataclass(frozen=True)
class Cut:
    """The widths of a route, and the figures of the file measured there.

    Args:
        widths: Width of each layer by its name; empty without a cut.
        probe: The measured file.
        fits: Whether it meets all limits.
    """

    widths: Widths
    probe: Probe
    fits: bool


def find_cut(
    solver: WidthSolver,
    measure: Measure,
    limits: Mapping[str, float],
    first: Probe,
) -> Cut:
    """Finds the smallest cut whose file meets all limits, with a few files.

    The solver gets a demand for each cost; the measured file tells by how
    much the demand has to grow, and once a file met the limits and another
    did not, the next demand lies between theirs.

    Args:
        solver: Distributes a cut over the layers.
        measure: Writes and measures the file at some widths.
        limits: Limits by the names of the figures of a probe.
        first: The file without a cut.

    Returns:
        The cut; the narrowest one if none meets the limits.
    """
    aims = {n: limit * MARGINS.get(n, 1.0) for n, limit in limits.items()}
    missing = exceeds(first, aims)
    if missing <= 0 or not solver.layers:
        return Cut({}, first, missing <= 0)
    # The middle of what is accepted.
    needed = {n: v + TOLERANCE / 2 for n, v in _logs(first, aims).items()}
    search = _Search(solver, measure, aims, first)
    demands = {n: max(0.0, value) for n, value in needed.items()}
    while len(search.tried) < PROBES:
        widths = search.next_widths(demands)
        if widths is None:
            break
        excess = search.measure(widths, demands)
        if -TOLERANCE <= excess <= 0 or widths == solver.narrowest:
            break
        demands = search.next_demands(demands, needed)
    if search.best is None and solver.narrowest not in search.tried:
        search.measure(solver.narrowest, None)
        if search.best is not None and search.low is not None:
            # The demand that leads there is unknown; twice the last is near.
            search.high = {n: 2 * value for n, value in search.low.items()}
            middle = solver.solve(search.between())
            if middle not in search.tried:
                search.measure(middle, None)
    return search.best or Cut(solver.narrowest, search.last, False)


class _Search:
    """The files measured so far, and the demands that led to them."""

    def __init__(
        self,
        solver: WidthSolver,
        measure: Measure,
        aims: Mapping[str, float],
        first: Probe,
    ) -> None:
        self._solver, self._measure = solver, measure
        self._aims, self._first = aims, first
        self.tried: list[Widths] = []
        self.low: dict[str, float] | None = None
        self.high: dict[str, float] | None = None
        self.best: Cut | None = None
        self.last = first

    def next_widths(self, demands: dict[str, float]) -> Widths | None:
        """Returns new widths; raises the demands in place to get some."""
        for _ in range(20):
            widths = self._solver.solve(demands)
            if widths not in self.tried:
                return widths
            if self.high is not None:
                return None  # No widths between a file that fits and one not.
            for name in demands:
                demands[name] *= 1.15
        return None

    def measure(
        self, widths: Widths, demands: dict[str, float] | None
    ) -> float:
        """Measures a file; returns by how much it exceeds the limits."""
        self.tried.append(widths)
        self.last = probe = self._measure(widths)
        excess = exceeds(probe, self._aims)
        if excess > 0:
            self.low = dict(demands) if demands else self.low
            return excess
        self.high = dict(demands) if demands else self.high
        size = self._solver.size
        if self.best is None or size(widths) < size(self.best.widths):
            self.best = Cut(widths, probe, True)
        return excess

    def next_demands(
        self, demands: Mapping[str, float], needed: Mapping[str, float]
    ) -> dict[str, float]:
        """Returns the demands of the next file."""
        if self.low is not None and self.high is not None:
            return self.between()
        found = {}
        for name, value in demands.items():
            reached = math.log(
                self._first.figures[name] / max(self.last.figures[name], 1e-9)
            )
            factor = needed[name] / reached if reached > 0 else MOST
            if self.high is None and needed[name] <= reached:
                factor = 1.0  # This limit is met, others are not.
            found[name] = value * min(max(factor, 1 / MOST), MOST)
        return found

    def between(self) -> dict[str, float]:
        """Returns the mean of the demands on both sides."""
        low, high = self.low or {}, self.high or {}
        return {name: (low[name] + high[name]) / 2 for name in low}


def _logs(probe: Probe, aims: Mapping[str, float]) -> dict[str, float]:
    """Returns by which factor each value is above its limit, as logarithm."""
    return {
        name: math.log(max(probe.figures[name], 1e-9) / aim)
        for name, aim in aims.items()
    }


def exceeds(probe: Probe, aims: Mapping[str, float]) -> float:
    """Returns by which factor the worst value is above its limit, as log."""
    return max(_logs(probe, aims).values())
