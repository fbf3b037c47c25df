"""What an edit does to every array that carries channels; plain NumPy."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_netopt.surgery.graph.channel_graph import ChannelGraph
from keras_netopt.surgery.graph.coupled_axis import IN, OUT, PASS, CoupledAxis

KINDS = ("weight", "gradient", "gradient2", "update", "index")
Fill = Callable[["NewPositions", np.ndarray], "np.ndarray | None"]


@dataclass(frozen=True)
class NewPositions:
    """The places along one axis of a variable that brand-new units take.

    Args:
        coupled_axis: The variable, its axis and the role of the axis.
        indices: Places in the new array, in order.
        sources: For each place the old place that it stands behind.
        groups: For each place the class of that old unit.
        numbers: For each place the number of the new unit; twins share one.
    """

    coupled_axis: CoupledAxis
    indices: np.ndarray
    sources: np.ndarray
    groups: np.ndarray
    numbers: np.ndarray

    def sample_slices(self, sample: Callable[[int], np.ndarray]) -> np.ndarray:
        """Draws one slice a new unit and repeats it for its twins.

        Args:
            sample: From the number of slices to an array with that many along
                axis 0.

        Returns:
            An array with one slice a place along axis 0.
        """
        units = np.stack([self.sources, self.numbers])
        _, where = np.unique(units, axis=1, return_inverse=True)
        where = where.reshape(-1)
        return sample(int(where.max()) + 1)[where]


@dataclass(frozen=True)
class _Axis:
    """How one axis of one variable is indexed anew."""

    coupled_axis: CoupledAxis
    index: np.ndarray
    share: np.ndarray
    positions: NewPositions | None

    @property
    def scale(self) -> float:
        return len(self.index) / len(self.coupled_axis.ids)

    def along(self, values: np.ndarray, rank: int) -> np.ndarray:
        shape = [1] * rank
        shape[self.coupled_axis.axis] = -1
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
        new_numbers: By group, one number per copy: -1 for a replica, else
            the number of a new unit. Copies with the same number are twins with
            the same incoming weights. Defaults to no brand-new units.
        outgoing: `(positions, array) -> values` for the weights that read new
            units, one slice a place along the axis, before the shares;
            `None` stands for zeros. Defaults to `None`.
        incoming: The same for weights and per-channel parameters that make
            new units; where it returns `None`, `CoupledAxis.new_value` decides.
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
        new_numbers: Mapping[int, np.ndarray] | None = None,
        outgoing: Fill | None = None,
        incoming: Fill | None = None,
        added: Mapping[int, np.ndarray] | None = None,
        factors: Mapping[int, float] | None = None,
        seed: int = 0,
    ) -> None:
        self.graph = graph
        self.copies = np.asarray(copies, dtype="int64")
        self.seed = seed
        self._new_numbers = dict(new_numbers or {})
        self._shares = dict(shares or {})
        self._outgoing = outgoing
        self._incoming = incoming
        self._added = dict(added or {})
        self._factors = dict(factors or {})
        self._axes: dict[int, list[tuple[int, _Axis]]] = {}
        self._fills: dict[tuple[int, int], np.ndarray] = {}
        for number, coupled_axis in enumerate(graph.coupled_axes):
            axis = self._axis(coupled_axis)
            if axis is not None:
                axes = self._axes.setdefault(id(coupled_axis.variable), [])
                axes.append((number, axis))
        for axes in self._axes.values():  # What is read goes last: it zeroes.
            axes.sort(key=lambda one: one[1].coupled_axis.role == IN)

    @property
    def has_new_units(self) -> bool:
        """Whether there are brand-new units."""
        return any(
            (numbers >= 0).any() for numbers in self._new_numbers.values()
        )

    def changes(self, variable: Any) -> bool:
        """Whether the shape or the values of a variable change."""
        return id(variable) in self._axes or id(variable) in self._added

    def shape(self, variable: Any) -> tuple[int, ...]:
        """The shape that a variable will have."""
        shape = list(variable.shape)
        for _, axis in self._axes.get(id(variable), ()):
            shape[axis.coupled_axis.axis] = len(axis.index)
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
            new = np.take(new, axis.index, axis=axis.coupled_axis.axis)
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
            factor *= axis.scale**axis.coupled_axis.power
        if power and factor != 1:
            new = new * np.asarray(factor**power, new.dtype)
        if kind == "weight" and id(variable) in self._added:
            new = new + self._added[id(variable)]
        return new.astype(array.dtype, copy=False)

    def _axis(self, coupled_axis: CoupledAxis) -> _Axis | None:
        groups = self.graph.group_of[coupled_axis.ids]
        counts = self.copies[groups]
        if (counts == 1).all():
            return None
        index: np.ndarray = np.repeat(np.arange(len(groups)), counts)
        first = np.cumsum(counts) - counts
        copy = np.arange(len(index)) - np.repeat(first, counts)
        share = np.ones(len(index))
        number = np.full(len(index), -1)
        for place in np.flatnonzero(counts[index] > 1):
            one = int(groups[index[place]])
            share[place] = self._share(one)[copy[place]]
            number[place] = self._number(one)[copy[place]]
        places = np.flatnonzero(number >= 0)
        positions = None
        if len(places):
            sources = index[places]
            positions = NewPositions(
                coupled_axis, places, sources, groups[sources], number[places]
            )
        return _Axis(coupled_axis, index, share, positions)

    def _number(self, one: int) -> np.ndarray:
        found = self._new_numbers.get(one)
        return np.full(self.copies[one], -1) if found is None else found

    def _share(self, one: int) -> np.ndarray:
        if one not in self._shares:
            old = self._number(one) < 0
            self._shares[one] = np.where(old, 1.0 / old.sum(), 1.0)
        return self._shares[one]

    def _weight(self, new: np.ndarray, number: int, axis: _Axis) -> np.ndarray:
        if axis.coupled_axis.role == IN:
            new = new * axis.along(axis.share, new.ndim).astype(new.dtype)
        if axis.positions is None:
            return new
        key = (id(axis.coupled_axis.variable), axis.coupled_axis.axis)
        if key not in self._fills:  # Averages of the weight get the same.
            self._fills[key] = self._fill(new, number, axis, axis.positions)
        return _put(new, axis, self._fills[key])

    def _fill(
        self, new: np.ndarray, number: int, axis: _Axis, positions: NewPositions
    ) -> np.ndarray:
        place = axis.coupled_axis.axis
        old = np.delete(new, positions.indices, axis=place)
        if axis.coupled_axis.role == IN:
            values = self._outgoing and self._outgoing(positions, old)
            if values is None:
                return np.zeros((), new.dtype)
            share = axis.share[positions.indices]
            return np.asarray(values * axis.along(share, new.ndim))
        values = self._incoming and self._incoming(positions, old)
        if values is not None:
            return np.asarray(values)
        rng = np.random.default_rng([self.seed, number])
        return _incoming(new, axis, positions, rng)


def _put(new: np.ndarray, axis: _Axis, values: np.ndarray) -> np.ndarray:
    if axis.positions is None:
        return new
    new = np.moveaxis(new, axis.coupled_axis.axis, 0).copy()
    if values.ndim:
        values = np.moveaxis(values, axis.coupled_axis.axis, 0)
    new[axis.positions.indices] = values
    return np.moveaxis(new, 0, axis.coupled_axis.axis)


def _incoming(
    new: np.ndarray,
    axis: _Axis,
    positions: NewPositions,
    rng: np.random.Generator,
) -> np.ndarray:
    """Initial values of a new unit's weights, by `CoupledAxis.new_value`."""
    place, rule = axis.coupled_axis.axis, axis.coupled_axis.new_value
    if rule in ("zeros", "ones"):
        return np.asarray(float(rule == "ones"))
    first = np.moveaxis(new, place, 0)
    if rule == "mean":
        return np.moveaxis(_means(first, axis, positions), 0, place)
    old = np.delete(first, positions.indices, axis=0)
    scale = np.sqrt(np.mean(np.square(old))) or 1 / np.sqrt(old[0].size or 1)
    drawn = positions.sample_slices(
        lambda n: rng.normal(0, scale, (n, *first.shape[1:]))
    )
    return np.moveaxis(drawn, 0, place)


def _means(
    first: np.ndarray, axis: _Axis, positions: NewPositions
) -> np.ndarray:
    """Means of the old entries; the gates of a recurrent layer keep theirs."""
    ids = axis.coupled_axis.ids
    segments = (np.cumsum(ids == ids[0]) - 1)[axis.index]
    segments = np.maximum(segments, 0)
    is_old: np.ndarray = np.ones(len(first), bool)
    is_old[positions.indices] = False
    return np.stack(
        [
            first[is_old & (segments == segments[place])].mean(axis=0)
            for place in positions.indices
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
    if axis.coupled_axis.role in (OUT, PASS) and power:
        share = axis.along(axis.share**power, new.ndim)
        new = new * share.astype(new.dtype)
    if axis.positions is None:
        return new
    # Nothing is known of new units. A mean over the old ones in the sums of
    # squares would hold them back for as long as the optimizer remembers.
    return _put(new, axis, np.zeros((), new.dtype))
