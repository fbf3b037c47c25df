"""One hyperparameter of a KerasTuner space, mapped to [0, 1]."""

import functools
import math
import numbers
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_netopt.search.sampling.parzen import ParameterDomain

LAST = math.nextafter(1.0, 0.0)
# Numbers with more values than this are treated as continuous.
MAX_BINS = 256


@dataclass(frozen=True, eq=False)
class SearchDimension:
    """Maps the values of one hyperparameter to [0, 1] and back.

    The mapping is KerasTuner's own (`value_to_prob`, `prob_to_value`) with
    two roundings fixed: a value on a `step` maps to its own index, and no
    value leaves its range. `hp` is an element of `HyperParameters.space`.
    """

    hp: Any

    @functools.cached_property
    def name(self) -> str:
        """Name of the hyperparameter; it need not be unique."""
        return str(self.hp.name)

    @functools.cached_property
    def key(self) -> Hashable:
        """Unique key: the name and the conditions."""
        conditions = (
            (parent.name, tuple(parent.values)) for parent in self.hp.conditions
        )
        return (self.name, tuple(conditions))

    @functools.cached_property
    def type(self) -> str:
        """KerasTuner's class: Choice, Int, Float, Boolean or Fixed."""
        return type(self.hp).__name__

    @functools.cached_property
    def size(self) -> int | None:
        """Number of values, `None` for a continuous range."""
        if self.type == "Fixed":
            return 1
        if self.type == "Boolean":
            return 2
        if self.type == "Choice":
            return len(self.hp.values)
        if self.hp.min_value == self.hp.max_value:
            return 1
        if self.hp.step is not None:
            return self._steps()
        if self.type == "Int":
            return int(self.hp.max_value - self.hp.min_value) + 1
        return None

    @property
    def is_ordered(self) -> bool:
        """Whether the values have an order."""
        if self.type == "Choice":
            return bool(self.hp.ordered)
        return self.type in ("Int", "Float")

    @functools.cached_property
    def domain(self) -> ParameterDomain:
        """The domain for density estimates."""
        if not self.is_ordered:
            return ParameterDomain(
                "categorical", np.arange((self.size or 1) + 1)
            )
        if self.size is None or self.size > MAX_BINS:
            return ParameterDomain("continuous")
        if self._is_uneven:
            return ParameterDomain("ordered", self._log_edges())
        return ParameterDomain("ordered", np.linspace(0.0, 1.0, self.size + 1))

    def is_active(self, values: Mapping[str, Any]) -> bool:
        """Returns whether the conditions hold for the values of the parents."""
        return all(parent.is_active(values) for parent in self.hp.conditions)

    def value(self, unit: float) -> Any:
        """Returns the value at a coordinate in [0, 1]."""
        unit = min(max(float(unit), 0.0), LAST)
        if self._is_indexed:
            return self._at(int(unit * (self.size or 1)))
        value = self.hp.prob_to_value(unit)
        return min(max(value, self.hp.min_value), self.hp.max_value)

    def unit(self, value: Any) -> float:
        """Returns the coordinate of a value, the center of its bin."""
        if self._is_indexed:
            return (self._index(value) + 0.5) / (self.size or 1)
        return float(self.hp.value_to_prob(value))

    def code(self, value: Any) -> Hashable:
        """Returns a hashable code of a value."""
        return self._index(value) if self._is_indexed else value

    def random(self, rng: np.random.Generator) -> Any:
        """Samples a value, uniform in [0, 1]."""
        return self.value(rng.random())

    def mutate(self, value: Any, rng: np.random.Generator) -> Any:
        """Mutates a value.

        A category becomes any other one. A number moves by a normal step of
        standard deviation 0.1 in [0, 1], or with probability 0.2 uniformly.
        """
        far = not self.is_ordered or rng.random() < 0.2
        if self._is_indexed:
            return self._at(self._other_index(self._index(value), far, rng))
        for _ in range(20):
            near = self.unit(value) + 0.1 * rng.normal()
            found = self.value(rng.random() if far else near)
            if found != value:
                return found
        return value + 1 if value < self.hp.max_value else value - 1

    def grid(self, levels: int) -> Iterator[Any]:
        """Yields all values, or `levels` values of a range without step."""
        if self._is_indexed and self.size is not None:
            descends = getattr(self.hp, "sampling", "") == "reverse_log"
            indices = range(self.size)
            yield from map(self._at, reversed(indices) if descends else indices)
        elif self.size is not None and self.size <= levels:
            yield from range(self.hp.min_value, self.hp.max_value + 1)
        elif levels == 1:
            yield self.value(0.5)
        else:
            inner = map(self.value, np.linspace(0.0, 1.0, levels)[1:-1])
            ends = (self.hp.min_value, self.hp.max_value)
            yield from sorted({*inner, *ends})

    def check(self, value: Any) -> Any:
        """Returns a value of the user in its canonical form.

        The message of the ValueError for another value is the expected value.
        """
        if self.type in ("Choice", "Boolean", "Fixed"):
            allowed = list(self.hp.values)
            for known in allowed:
                if known == value and isinstance(known, bool) == isinstance(
                    value, bool
                ):
                    return known
            raise ValueError(f"one of {allowed}")
        expected = f"in [{self.hp.min_value}, {self.hp.max_value}]"
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise ValueError(f"a number {expected}")
        if not self.hp.min_value <= value <= self.hp.max_value:
            raise ValueError(expected)
        return self._on_step(value)

    @functools.cached_property
    def _is_indexed(self) -> bool:
        """Whether value i of n has the coordinate (i + .5) / n."""
        return self.size == 1 or not (
            self.type in ("Int", "Float") and self.hp.step is None
        )

    @property
    def _is_uneven(self) -> bool:
        return self.type == "Int" and self.hp.step is None

    def _other_index(
        self, index: int, far: bool, rng: np.random.Generator
    ) -> int:
        size = self.size or 2
        if far:
            found = int(rng.integers(size - 1))
            return found + (found >= index)
        step = 0.1 * rng.normal()
        place = (index + 0.5) / size + step
        found = min(max(int(place * size), 0), size - 1)
        if found != index:
            return found
        up = (step > 0 and index + 1 < size) or index == 0
        return index + 1 if up else index - 1

    def _steps(self) -> int:
        """Number of values with a step, as in KerasTuner."""
        low, high, step = self.hp.min_value, self.hp.max_value, self.hp.step
        if self.hp.sampling == "linear":
            return int((high - low) // step + 1)
        return int(math.log(high / low, step) + 1e-8) + 1

    def _at(self, index: int) -> Any:
        if self.size == 1 and self.type in ("Int", "Float"):
            return self.hp.min_value
        return self.hp.prob_to_value((index + 0.5) / (self.size or 1))

    def _index(self, value: Any) -> int:
        if self.size == 1:
            return 0
        if self.type == "Boolean":
            return int(value)
        if self.type == "Choice":
            return int(self.hp.values.index(value))
        low, high, step = self.hp.min_value, self.hp.max_value, self.hp.step
        if self.hp.sampling == "linear":
            index = round((value - low) / step)
        elif self.hp.sampling == "log":
            index = round(math.log(value / low, step))
        else:
            index = round(math.log((high - value + low) / low, step))
        return min(max(index, 0), (self.size or 1) - 1)

    def _on_step(self, value: Any) -> Any:
        if self.type == "Int" and value != int(value):
            raise ValueError("an integer")
        value = int(value) if self.type == "Int" else float(value)
        if not self._is_indexed:
            return value
        known = self._at(self._index(value))
        if not math.isclose(known, value, rel_tol=1e-9, abs_tol=1e-12):
            raise ValueError(f"on the step of {self.hp.step}")
        return known

    def _log_edges(self) -> np.ndarray:
        """Edges of the bins of an integer on a logarithmic range."""
        low, high = self.hp.min_value, self.hp.max_value
        values = np.arange(low, high + 2)
        whole = np.log((high + 1) / low)
        if self.hp.sampling == "reverse_log":
            return 1.0 - np.log((high + 1 + low - values) / low) / whole
        return np.log(values / low) / whole
