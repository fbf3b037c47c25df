"""The points of a KerasTuner search space."""

import functools
import json
import math
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping
from typing import Any

import numpy as np

from keras_netopt.search.search_dimension import SearchDimension

Values = dict[str, Any]
# Spaces of at most so many points are sampled without replacement.
FEW = 10_000


class SearchSpace:
    """The hyperparameters of a search, conditions included.

    A point is a dict of the values of all *active* hyperparameters. One name
    may be defined under several conditions, with different ranges.

    Example:

    >>> import keras_tuner
    >>> hp = keras_tuner.HyperParameters()
    >>> kind = hp.Choice("kind", ["mlp", "cnn"])
    >>> with hp.conditional_scope("kind", ["cnn"]):
    ...     _ = hp.Int("filters", 8, 16, step=8)
    >>> list(SearchSpace(hp).grid())  # doctest: +NORMALIZE_WHITESPACE
    [{'kind': 'mlp'}, {'kind': 'cnn', 'filters': 8},
     {'kind': 'cnn', 'filters': 16}]

    Args:
        hyperparameters: A `keras_tuner.HyperParameters`.
    """

    def __init__(self, hyperparameters: Any) -> None:
        self.dimensions = tuple(map(SearchDimension, hyperparameters.space))
        # Dimensions with more than one value.
        self.searchable = tuple(d for d in self.dimensions if d.size != 1)

    def fill(self, choose: Callable[[SearchDimension], Any]) -> Values:
        """Builds a point, parents first; `choose` returns an active value."""
        values: Values = {}
        for dimension in self.dimensions:
            if dimension.name not in values and dimension.is_active(values):
                values[dimension.name] = choose(dimension)
        return values

    def active(self, values: Mapping[str, Any]) -> list[SearchDimension]:
        """Returns the active dimensions of a point."""
        found: dict[str, SearchDimension] = {}
        for dimension in self.dimensions:
            name = dimension.name
            if name in values and name not in found:
                if dimension.is_active(values):
                    found[name] = dimension
        return list(found.values())

    def random(self, rng: np.random.Generator) -> Values:
        """Samples a point, each active dimension uniform in [0, 1]."""
        return self.fill(lambda dimension: dimension.random(rng))

    def defaults(self) -> Values:
        """Returns the point of the default values."""
        return self.fill(lambda dimension: dimension.hp.default)

    def complete(self, values: Mapping[str, Any]) -> Values:
        """Adds missing defaults and removes inactive values."""

        def choose(dimension: SearchDimension) -> Any:
            if dimension.name in values:
                return values[dimension.name]
            return dimension.hp.default

        return self.fill(choose)

    def adopt(self, values: Mapping[str, Any]) -> Values:
        """Converts a point of a similar space; differences become defaults."""

        def choose(dimension: SearchDimension) -> Any:
            try:
                return dimension.check(values[dimension.name])
            except (KeyError, ValueError):
                return dimension.hp.default

        return self.fill(choose)

    def check(self, point: Mapping[str, Any], name: str) -> Values:
        """Checks a point of the user and completes it with the defaults.

        The error for an unknown or inactive name, or for a value outside its
        hyperparameter, names the argument `name`.
        """
        known = {dimension.name for dimension in self.dimensions}
        for given in point:
            if given not in known:
                raise ValueError(
                    f"Argument `{name}` must name hyperparameters of the "
                    f"search space: {sorted(known)}. Declare hyperparameters "
                    "of `HyperModel.fit`, or under conditions, in advance: "
                    "`hyperparameters=hp`. "
                    f"Received: {name}={dict(point)!r} with {given!r}"
                )

        def choose(dimension: SearchDimension) -> Any:
            if dimension.name not in point:
                return dimension.hp.default
            try:
                return dimension.check(point[dimension.name])
            except ValueError as error:
                raise ValueError(
                    f"Argument `{name}` must give {dimension.name!r} a value "
                    f"that is {error}. Received: {name}={dict(point)!r}"
                ) from error

        values = self.fill(choose)
        for given in point:
            if given not in values:
                raise ValueError(
                    f"Argument `{name}` must hold active hyperparameters only; "
                    f"the conditions of {given!r} do not hold. "
                    f"Received: {name}={dict(point)!r}"
                )
        return values

    def key(self, values: Mapping[str, Any]) -> Hashable:
        """Returns a hashable key of a point; missing values are defaults."""
        whole = self.complete(values)
        return tuple(
            (dimension.key, dimension.code(whole[dimension.name]))
            for dimension in self.active(whole)
            if dimension.size != 1
        )

    def encode(self, values: Mapping[str, Any]) -> np.ndarray:
        """Returns the coordinates of a point, shape `(len(searchable),)`.

        They are in [0, 1], or NaN for dimensions that are inactive or have no
        such value.
        """
        active = {id(dimension) for dimension in self.active(values)}
        places = np.full(len(self.searchable), np.nan)
        for i, dimension in enumerate(self.searchable):
            if id(dimension) in active:
                try:
                    value = dimension.check(values[dimension.name])
                except ValueError:
                    continue
                places[i] = dimension.unit(value)
        return places

    def mutate(
        self, values: Mapping[str, Any], rng: np.random.Generator
    ) -> Values:
        """Returns a point that differs in one active dimension.

        Dimensions that become active get random values.
        """
        active = [d for d in self.active(values) if d.size != 1]
        chosen = active[int(rng.integers(len(active)))]
        known = {d.key: values[d.name] for d in self.active(values)}

        def choose(dimension: SearchDimension) -> Any:
            if dimension is chosen:
                return dimension.mutate(values[dimension.name], rng)
            if dimension.key in known:
                return known[dimension.key]
            return dimension.random(rng)

        return self.fill(choose)

    def crossover(
        self,
        first: Mapping[str, Any],
        second: Mapping[str, Any],
        rng: np.random.Generator,
        *,
        mutation: float = 0.0,
    ) -> Values:
        """Returns a child of two points by uniform crossover.

        With the probability `mutation` a value is random instead.
        """
        parents = [
            {d.key: values[d.name] for d in self.active(values)}
            for values in (first, second)
        ]

        def choose(dimension: SearchDimension) -> Any:
            sides = [p for p in parents if dimension.key in p]
            if not sides or rng.random() < mutation:
                return dimension.random(rng)
            side = sides[int(rng.integers(len(sides)))]
            return side[dimension.key]

        return self.fill(choose)

    def grid(self, levels: int = 10) -> Iterator[Values]:
        """Yields all points in order, the last dimension fastest.

        A range without a step has `levels` values.
        """
        return self._extend(0, {}, levels)

    @functools.cached_property
    def is_finite(self) -> bool:
        """Whether no dimension is continuous."""
        return all(d.size is not None for d in self.dimensions)

    @functools.cached_property
    def few(self) -> dict[Hashable, Values]:
        """All points by key if there are at most 10,000, else none."""
        free = not any(d.hp.conditions for d in self.dimensions)
        sizes = [d.size or 0 for d in self.dimensions]
        if not self.is_finite or (free and math.prod(sizes) > FEW):
            return {}
        found: dict[Hashable, Values] = {}
        for values in self._whole():
            found[self.key(values)] = values
            if len(found) > FEW:
                return {}
        return found

    def untried(
        self, tried: Collection[Hashable], rng: np.random.Generator
    ) -> Values | None:
        """Samples a point whose key is not in `tried`, or returns `None`."""
        if self.few:
            left = [v for key, v in self.few.items() if key not in tried]
            return left[int(rng.integers(len(left)))] if left else None
        for _ in range(1000):
            values = self.random(rng)
            if self.key(values) not in tried:
                return values
        if not self.is_finite:
            return None
        every = self._whole()
        return next((v for v in every if self.key(v) not in tried), None)

    def describe(self) -> list[str]:
        """Returns one line of JSON per dimension, as KerasTuner stores it."""
        return [
            json.dumps([d.type, d.hp.get_config()], sort_keys=True)
            for d in self.dimensions
        ]

    def _whole(self) -> Iterator[Values]:
        """Yields all points of a finite space."""
        return self.grid(max(d.size or 1 for d in self.dimensions))

    def _extend(self, i: int, values: Values, levels: int) -> Iterator[Values]:
        if i == len(self.dimensions):
            yield dict(values)
            return
        dimension = self.dimensions[i]
        if dimension.name in values or not dimension.is_active(values):
            yield from self._extend(i + 1, values, levels)
            return
        for value in dimension.grid(levels):
            values[dimension.name] = value
            yield from self._extend(i + 1, values, levels)
        del values[dimension.name]
