"""Limits on the cost of an architecture, checked before it is evaluated."""

import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_netopt.search.constraints import Constraint

Architecture = Mapping[str, int]
Measure = Callable[[Architecture], float]
FAST = ("macs", "params")  # From a table; others extract a network.


@dataclass(frozen=True)
class AdditiveCost:
    """A cost as a sum of what each option adds.

    It is exact where decisions do not share tensors of a searched size, and an
    estimate otherwise.

    Args:
        base: Cost of the architecture of first options.
        added: What each option adds to it, by decision, `(options,)`.
    """

    base: float
    added: Mapping[str, np.ndarray]

    @classmethod
    def measure(
        cls, options: Mapping[str, Sequence[int]], cost: Measure
    ) -> "AdditiveCost":
        """Measures each option alone, the others being first ones."""
        first = {name: int(allowed[0]) for name, allowed in options.items()}
        base = cost(first)
        added = {}
        for name, allowed in options.items():
            values = np.full(max(allowed) + 1, np.nan)
            for k in allowed:
                same = k == first[name]
                values[k] = 0.0 if same else cost({**first, name: k}) - base
            added[name] = values
        return cls(base, added)

    def __call__(self, architecture: Architecture) -> float:
        """Returns the cost of an architecture."""
        parts = (self.added[name][k] for name, k in architecture.items())
        return float(self.base + sum(parts))

    def expected(self, shares: Mapping[str, np.ndarray]) -> float:
        """Returns the mean cost where options have these shares."""
        return float(
            self.base
            + sum(
                np.nansum(self.added[name] * share[: len(self.added[name])])
                for name, share in shares.items()
            )
        )

    def scaled(self, factor: float) -> "AdditiveCost":
        """Returns the cost in another unit."""
        added = {name: factor * one for name, one in self.added.items()}
        return AdditiveCost(factor * self.base, added)

    def plus(self, other: "AdditiveCost") -> "AdditiveCost":
        """Returns the sum of two costs of the same options."""
        added = {
            name: one + other.added[name] for name, one in self.added.items()
        }
        return AdditiveCost(self.base + other.base, added)

    def extreme(self, largest: bool) -> dict[str, int]:
        """Returns the architecture with the largest or smallest cost."""
        pick = np.nanargmax if largest else np.nanargmin
        return {name: int(pick(values)) for name, values in self.added.items()}


class ArchitectureLimits:
    """Checks architectures against upper limits on their costs.

    Costs are computed for every candidate, except slow ones, such as a
    measured latency, which are measured option by option first: the sum of the
    differences excludes candidates, and the architecture that is delivered is
    measured itself.

    Args:
        constraints: The limits.
        options: The allowed options of each decision.
        measures: The cost of an architecture by the name of the constraint.
    """

    def __init__(
        self,
        constraints: Iterable[Constraint],
        options: Mapping[str, Sequence[int]],
        measures: Mapping[str, Measure],
    ) -> None:
        # The first excess decides: networks are extracted last.
        self._constraints = tuple(
            sorted(
                constraints, key=lambda one: (one.is_slow, one.name not in FAST)
            )
        )
        self._measures = measures
        self._options = options
        self._additive: dict[str, AdditiveCost] = {}
        self._known: dict[tuple[str, tuple[int, ...]], float] = {}

    def check_possible(self) -> None:
        """Refuses limits that the cheapest architecture exceeds.

        Raises:
            ValueError: If there is such a limit; the message names the
                nearest architecture.
        """
        for one in self._constraints:
            cost = AdditiveCost.measure(
                self._options, functools.partial(self._exact, one)
            )
            nearest = cost.extreme(largest=False)
            value = self._exact(one, nearest)
            if not value <= one.at_most:
                raise ValueError(
                    "Argument `constraints` must allow an architecture of the "
                    f"model, whose cheapest one has {one.name}={value:g}: "
                    f"{nearest}. Received: {one!r}"
                )
            self._additive[one.name] = cost

    def refuse(self, architecture: Architecture) -> str | None:
        """Returns why a candidate is not evaluated, or `None`."""
        return self._first_excess(
            architecture,
            lambda one: (
                self._additive[one.name](architecture)
                if one.is_slow
                else self._exact(one, architecture)
            ),
        )

    def starts(self) -> list[dict[str, int]]:
        """Returns the cheapest architecture of each limit, and of all."""
        limited = [
            self._additive[one.name].scaled(1.0 / one.at_most)
            for one in self._constraints
            if one.at_most != math.inf
        ]
        if len(limited) > 1:
            limited.insert(0, functools.reduce(AdditiveCost.plus, limited))
        return [one.extreme(largest=False) for one in limited]

    def is_measured(self, architecture: Architecture) -> bool:
        """Returns whether all costs of an architecture are known exactly."""
        return all(
            self._key(one, architecture) in self._known
            for one in self._constraints
            if one.is_slow
        )

    def measured_excess(self, architecture: Architecture) -> str | None:
        """Returns which measured cost is above its limit, or `None`."""
        return self._first_excess(
            architecture, lambda one: self._exact(one, architecture)
        )

    def nearest(self) -> str:
        """Describes the measured architecture nearest to the limits."""
        limits = {one.name: one.at_most for one in self._constraints}
        key = min(
            (key for key in self._known if key[0] in limits),
            key=lambda key: self._known[key] / limits[key[0]],
        )
        architecture = dict(zip(self._options, key[1], strict=True))
        return f"{architecture} with {key[0]} {self._known[key]:g}"

    def costs(self, architecture: Architecture) -> dict[str, float]:
        """Returns the costs that have a limit."""
        return {
            one.name: self._exact(one, architecture)
            for one in self._constraints
        }

    def _first_excess(
        self, architecture: Architecture, cost: Callable[[Any], float]
    ) -> str | None:
        for one in self._constraints:
            if one.at_most == math.inf:
                continue
            if not cost(one) <= one.at_most:  # NaN is above every limit.
                return f"{one.name} above {one.at_most:g}"
        return None

    def _exact(self, one: Constraint, architecture: Architecture) -> float:
        key = self._key(one, architecture)
        if key not in self._known:
            self._known[key] = self._measures[one.name](architecture)
        return self._known[key]

    def _key(
        self, one: Constraint, architecture: Architecture
    ) -> tuple[str, tuple[int, ...]]:
        return one.name, tuple(architecture[name] for name in self._options)
