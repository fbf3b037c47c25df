"""What an edit does to every array that carries channels; plain NumPy."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_netopt.surgery.graph.channel_graph import (
    IN,
    OUT,
    PASS,
    Binding,
    ChannelGraph,
)

KINDS = ("weight", "gradient", "gradient2", "update", "index")
Fill = Callable[["Fresh", np.ndarray], "np.ndarray | None"]


@dataclass(frozen=True)
class Fresh:
    """The places along one axis of a variable that brand-new units take.

    Args:
        binding: The variable, its axis and the role of the axis.
        positions: Places in the new array, in order.
        sources: For each place the old place that it stands behind.
        classes: For each place the class of that old unit.
        numbers: For each place the number of the new unit; twins share one.
    """

    binding: Binding
    positions: np.ndarray
    sources: np.ndarray
    classes: np.ndarray
    numbers: np.ndarray

    def spread(self, draw: Callable[[int], np.ndarray]) -> np.ndarray:
        """Draws one slice a new unit and repeats it for its twins.

        Args:
            draw: From the number of slices to an array with that many along
                axis 0.

        Returns:
            An array with one slice a place along axis 0.
        """
        units = np.stack([self.sources, self.numbers])
        _, where = np.unique(units, axis=1, return_inverse=True)
        where = where.reshape(-1)
        return draw(int(where.max()) + 1)[where]


@dataclass(frozen=True)
class _Axis:
    """How one axis of one variable is indexed anew."""

    binding: Binding
    index: np.ndarray
    share: np.ndarray
    fresh: Fresh | None

    @property
    def scale(self) -> float:
        return len(self.index) / len(self.binding.ids)

    def along(self, values: np.ndarray, rank: int) -> np.ndarray:
        shape = [1] * rank
        shape[self.binding.axis] = -1
        return values.reshape(shape)


class EditPlan:
    """Says for every class of units how many copies the new model has.

    0 copies remove a class, 1 keeps it, more replicate it; replicas stand
    next to their source. What a replicated unit sends on is shared out:
    the weights that read it are multiplied by the copy's share, and the
    shares of the copies add up to 1. A copy may also be brand-new: then it
    gets incoming weights of its own, and the weights that read it are its
    share of an outgoing vector, zero by default.

    Args:
        graph: The graph of the model as it is.
        copies: Number of copies of each class, an int array.
        shares: By class, one share a copy. Defaults to equal shares of the
            copies that are not brand-new, and 1 for those that are.
        fresh: By class, one number a copy: -1 for a replica, else the number
            of a brand-new unit. Copies with the same number are twins with
            the same incoming weights. Defaults to no brand-new units.
        outgoing: `(fresh, array) -> values` for the weights that read new
            units, one slice a place along the axis, before the shares;
            `None` stands for zeros. Defaults to `None`.
        incoming: The same for weights and per-channel parameters that make
            new units; where it returns `None`, `Binding.fresh` decides.
            Defaults to `None`.
        added: Arrays in the new shape that are added to the mapped weights,
            by `id(variable)`. Defaults to nothing.
        factors: Factors of whole variables, by `id(variable)`; the outputs
            must not depend on them together with the rest of the plan.
            Defaults to none.
        seed: Seed of the new weights. Defaults to `0`.
    """

    def __init__(
        self,
        graph: ChannelGraph,
        copies: np.ndarray,
        *,
        shares: Mapping[int, np.ndarray] | None = None,
        fresh: Mapping[int, np.ndarray] | None = None,
        outgoing: Fill | None = None,
        incoming: Fill | None = None,
        added: Mapping[int, np.ndarray] | None = None,
        factors: Mapping[int, float] | None = None,
        seed: int = 0,
    ) -> None:
        self.graph = graph
        self.copies = np.asarray(copies, dtype="int64")
        self.seed = seed
        self._fresh = dict(fresh or {})
        self._shares = dict(shares or {})
        self._outgoing = outgoing
        self._incoming = incoming
        self._added = dict(added or {})
        self._factors = dict(factors or {})
        self._axes: dict[int, list[tuple[int, _Axis]]] = {}
        self._fills: dict[tuple[int, int], np.ndarray] = {}
        for number, binding in enumerate(graph.bindings):
            axis = self._axis(binding)
            if axis is not None:
                axes = self._axes.setdefault(id(binding.variable), [])
                axes.append((number, axis))
        for axes in self._axes.values():  # What is read goes last: it zeroes.
            axes.sort(key=lambda one: one[1].binding.role == IN)

    @property
    def has_fresh(self) -> bool:
        """Whether there are brand-new units."""
        return any((numbers >= 0).any() for numbers in self._fresh.values())

    def changes(self, variable: Any) -> bool:
        """Whether the shape or the values of a variable change."""
        return id(variable) in self._axes or id(variable) in self._added

    def shape(self, variable: Any) -> tuple[int, ...]:
        """The shape that a variable will have."""
        shape = list(variable.shape)
        for _, axis in self._axes.get(id(variable), ()):
            shape[axis.binding.axis] = len(axis.index)
        return tuple(shape)

    def map(self, variable: Any, array: np.ndarray, kind: str) -> np.ndarray:
        """Carries an array of a variable's shape over to its new shape.

        The chain rule decides: a replica with share s gets s times the old
        gradient in the weights that make it, and the old gradient in those
        that read it.

        Args:
            variable: The variable that the array belongs to.
            array: In the variable's old shape.
            kind: "weight" for weights and their averages, "gradient" for sums
                of gradients, "gradient2" for sums of their squares, "update"
                for what has no scale, "index" for boolean masks.

        Returns:
            The array in the new shape; the same one where nothing changes.
        """
        axes = self._axes.get(id(variable), [])
        new = array
        for _, axis in axes:
            new = np.take(new, axis.index, axis=axis.binding.axis)
        for number, axis in axes:
            if kind == "weight":
                new = self._weight(new, number, axis)
            elif kind == "index":
                new = _put(new, axis, np.asarray(True))
            else:
                new = _slot(new, array, axis, kind)
        power = {"weight": 1, "gradient": -1, "gradient2": -2}.get(kind, 0)
        factor = self._factors.get(id(variable), 1.0)
        for _, axis in axes:
            factor *= axis.scale**axis.binding.power
        if power and factor != 1:
            new = new * np.asarray(factor**power, new.dtype)
        if kind == "weight" and id(variable) in self._added:
            new = new + self._added[id(variable)]
        return new.astype(array.dtype, copy=False)

    def _axis(self, binding: Binding) -> _Axis | None:
        classes = self.graph.class_of[binding.ids]
        counts = self.copies[classes]
        if (counts == 1).all():
            return None
        index: np.ndarray = np.repeat(np.arange(len(classes)), counts)
        first = np.cumsum(counts) - counts
        copy = np.arange(len(index)) - np.repeat(first, counts)
        share = np.ones(len(index))
        number = np.full(len(index), -1)
        for place in np.flatnonzero(counts[index] > 1):
            one = int(classes[index[place]])
            share[place] = self._share(one)[copy[place]]
            number[place] = self._number(one)[copy[place]]
        places = np.flatnonzero(number >= 0)
        fresh = None
        if len(places):
            sources = index[places]
            fresh = Fresh(
                binding, places, sources, classes[sources], number[places]
            )
        return _Axis(binding, index, share, fresh)

    def _number(self, one: int) -> np.ndarray:
        found = self._fresh.get(one)
        return np.full(self.copies[one], -1) if found is None else found

    def _share(self, one: int) -> np.ndarray:
        if one not in self._shares:
            old = self._number(one) < 0
            self._shares[one] = np.where(old, 1.0 / old.sum(), 1.0)
        return self._shares[one]

    def _weight(self, new: np.ndarray, number: int, axis: _Axis) -> np.ndarray:
        if axis.binding.role == IN:
            new = new * axis.along(axis.share, new.ndim).astype(new.dtype)
        if axis.fresh is None:
            return new
        key = (id(axis.binding.variable), axis.binding.axis)
        if key not in self._fills:  # Averages of the weight get the same.
            self._fills[key] = self._fill(new, number, axis, axis.fresh)
        return _put(new, axis, self._fills[key])

    def _fill(
        self, new: np.ndarray, number: int, axis: _Axis, fresh: Fresh
    ) -> np.ndarray:
        place = axis.binding.axis
        old = np.delete(new, fresh.positions, axis=place)
        if axis.binding.role == IN:
            values = self._outgoing and self._outgoing(fresh, old)
            if values is None:
                return np.zeros((), new.dtype)
            share = axis.share[fresh.positions]
            return np.asarray(values * axis.along(share, new.ndim))
        values = self._incoming and self._incoming(fresh, old)
        if values is not None:
            return np.asarray(values)
        rng = np.random.default_rng([self.seed, number])
        return _incoming(new, axis, fresh, rng)


def _put(new: np.ndarray, axis: _Axis, values: np.ndarray) -> np.ndarray:
    if axis.fresh is None:
        return new
    new = np.moveaxis(new, axis.binding.axis, 0).copy()
    if values.ndim:
        values = np.moveaxis(values, axis.binding.axis, 0)
    new[axis.fresh.positions] = values
    return np.moveaxis(new, 0, axis.binding.axis)


def _incoming(
    new: np.ndarray, axis: _Axis, fresh: Fresh, rng: np.random.Generator
) -> np.ndarray:
    """Values for the weights that make a new unit, by `Binding.fresh`."""
    place, rule = axis.binding.axis, axis.binding.fresh
    if rule in ("zeros", "ones"):
        return np.asarray(float(rule == "ones"))
    first = np.moveaxis(new, place, 0)
    if rule == "mean":
        return np.moveaxis(_means(first, axis, fresh), 0, place)
    old = np.delete(first, fresh.positions, axis=0)
    scale = np.sqrt(np.mean(np.square(old))) or 1 / np.sqrt(old[0].size or 1)
    drawn = fresh.spread(lambda n: rng.normal(0, scale, (n, *first.shape[1:])))
    return np.moveaxis(drawn, 0, place)


def _means(first: np.ndarray, axis: _Axis, fresh: Fresh) -> np.ndarray:
    """Means of the old entries; the gates of a recurrent layer keep theirs."""
    ids = axis.binding.ids
    segments = (np.cumsum(ids == ids[0]) - 1)[axis.index]
    segments = np.maximum(segments, 0)
    is_old: np.ndarray = np.ones(len(first), bool)
    is_old[fresh.positions] = False
    return np.stack(
        [
            first[is_old & (segments == segments[place])].mean(axis=0)
            for place in fresh.positions
        ]
    )


def _slot(
    new: np.ndarray, old: np.ndarray, axis: _Axis, kind: str
) -> np.ndarray:
    if kind not in KINDS:
        raise ValueError(
            f"Argument `kind` must be one of {KINDS}. Received: kind={kind!r}"
        )
    power = {"gradient": 1, "gradient2": 2, "update": 0}[kind]
    if axis.binding.role in (OUT, PASS) and power:
        share = axis.along(axis.share**power, new.ndim)
        new = new * share.astype(new.dtype)
    if axis.fresh is None:
        return new
    # Nothing is known of new units. A mean over the old ones in the sums of
    # squares would hold them back for as long as the optimizer remembers.
    return _put(new, axis, np.zeros((), new.dtype))
