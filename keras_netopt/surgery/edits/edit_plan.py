"""Maps every array that has channels through an edit; plain NumPy."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_netopt.surgery.channels.channel_graph import ChannelGraph
from keras_netopt.surgery.coupled_axis import IN, OUT, PASS, CoupledAxis
from keras_netopt.training.take_entries import Places, take_entries

ARRAY_KINDS = ("weight", "gradient", "gradient2", "update", "index")
FillFunction = Callable[["NewPositions", np.ndarray], "np.ndarray | None"]


@dataclass(frozen=True)
class NewPositions:
    """The positions of new units along one axis of a variable.

    Args:
        coupled_axis: The variable, its axis and the role of the axis.
        indices: Positions in the new array, in order.
        sources: For each position the old position before it.
        groups: For each position the group of that old unit.
        numbers: For each position the number of the new unit; the two units
            of a pair have the same number.
    """

    coupled_axis: CoupledAxis
    indices: np.ndarray
    sources: np.ndarray
    groups: np.ndarray
    numbers: np.ndarray

    def sample_slices(self, sample: Callable[[int], np.ndarray]) -> np.ndarray:
        """Samples one slice per new unit, the same for both units of a pair.

        `sample(n)` returns n slices along axis 0. The result has one slice per
        position along axis 0.
        """
        units = np.stack([self.sources, self.numbers])
        _, where = np.unique(units, axis=1, return_inverse=True)
        where = where.reshape(-1)
        return sample(int(where.max()) + 1)[where]


@dataclass(frozen=True)
class _IndexedAxis:
    """The new index of one axis of a variable."""

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
    """The number of copies of each channel group in the edited model.

    0 copies remove a group, 1 keeps it, more replicate it; the copies are
    adjacent. The outgoing weights of a copy are multiplied by its share; the
    shares of the copies of a unit add up to 1. A copy may also be a new unit,
    with its own incoming weights, and its share of an outgoing vector, which
    is zero by default.

    Args:
        graph: The graph of the current model.
        copies: Number of copies of each group, an int array.
        shares: By group, one share per copy. Defaults to equal shares of the
            copies that are not new units, and 1 for new units.
        new_numbers: By group, one number per copy: -1 for a replica, else
            the number of a new unit. Copies with the same number are a pair
            with the same incoming weights. Defaults to no new units.
        outgoing: `(positions, array) -> values` for the outgoing weights of
            new units, one slice per position along the axis, before the
            shares; `None` means zeros. Defaults to `None`.
        incoming: The same for incoming weights and per-channel parameters of
            new units; where it returns `None`, `CoupledAxis.new_value` is
            used. Defaults to `None`.
        added: Arrays in the new shape that are added to the mapped weights,
            by `id(variable)`. Defaults to nothing.
        factors: Factors of whole variables, by `id(variable)`. Defaults to
            none.
        seed: Seed of the new weights. Defaults to `0`.
    """

    def __init__(
        self,
        graph: ChannelGraph,
        copies: np.ndarray,
        *,
        shares: Mapping[int, np.ndarray] | None = None,
        new_numbers: Mapping[int, np.ndarray] | None = None,
        outgoing: FillFunction | None = None,
        incoming: FillFunction | None = None,
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
        self._axes: dict[int, list[tuple[int, _IndexedAxis]]] = {}
        self._fills: dict[tuple[int, int], Callable[[], np.ndarray]] = {}
        for number, coupled_axis in enumerate(graph.coupled_axes):
            axis = self._axis(coupled_axis)
            if axis is not None:
                axes = self._axes.setdefault(id(coupled_axis.variable), [])
                axes.append((number, axis))
        for axes in self._axes.values():  # Outgoing weights last: set to zero.
            axes.sort(key=lambda one: one[1].coupled_axis.role == IN)

    def changes(self, variable: Any) -> bool:
        """Returns whether the shape or the values of a variable change."""
        return id(variable) in self._axes or id(variable) in self._added

    def shape(self, variable: Any) -> tuple[int, ...]:
        """Returns the new shape of a variable."""
        shape = list(variable.shape)
        for _, axis in self._axes.get(id(variable), ()):
            shape[axis.coupled_axis.axis] = len(axis.index)
        return tuple(shape)

    def new_size(self, ids: np.ndarray) -> int:
        """Returns the new length of an axis that holds some units."""
        return int(self.copies[self.graph.group_of[ids]].sum())

    def positions(self, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns where the entries of a new axis come from.

        The first array holds the old position of each entry, the second
        whether the entry belongs to a unit that is new, not kept or copied.
        """
        axis = self._index_axis(ids)
        fresh: np.ndarray = np.zeros(len(axis[0]), bool)
        fresh[axis[2]] = True
        return axis[0], fresh

    @property
    def preserves_outputs(self) -> bool:
        """Whether the edit is exact once removed units have no effect."""
        return not (self._added or self._factors or self._outgoing)

    def map(self, variable: Any, array: np.ndarray, kind: str) -> np.ndarray:
        """Maps an array of a variable's shape to its new shape.

        By the chain rule a replica with share s gets s times the old gradient
        in its incoming weights, and the old gradient in its outgoing weights.
        `kind` is "weight" for weights and their averages, "gradient" for sums
        of gradients, "gradient2" for sums of their squares, "update" for arrays
        without a scale, "index" for boolean masks. Returns the same array if
        nothing changes.
        """
        axes = self._axes.get(id(variable), [])
        new = take_entries(
            array, [(axis.coupled_axis.axis, axis.index) for _, axis in axes]
        )
        dtype, is_copy = array.dtype, new is not array
        del array  # The memory of a weight on the host.
        last: int | None = None
        for number, axis in axes:  # `new` is a copy: it is changed in place.
            if kind == "weight":
                last = self._map_weight(new, number, axis, last)
            elif kind == "index":
                _write_new(new, axis, np.asarray(True))
            else:
                _map_slot(new, axis, kind)
        power = {"weight": 1, "gradient": -1, "gradient2": -2}.get(kind, 0)
        factor = self._factors.get(id(variable), 1.0)
        for _, axis in axes:
            factor *= axis.scale**axis.coupled_axis.power
        if power and factor != 1:
            scale = np.asarray(factor**power, new.dtype)
            new = np.multiply(new, scale, out=new if is_copy else None)
        if kind == "weight" and id(variable) in self._added:
            new = new + self._added[id(variable)]
        return new.astype(dtype, copy=False)

    def old_places(self, variable: Any) -> Places | None:
        """Returns where a mapped array has the entries of the old one.

        By axis; without multiplications they also have the old values. Returns
        `None` if the edit removes entries.
        """
        found = []
        for _, axis in self._axes.get(id(variable), ()):
            old, first = np.unique(axis.index, return_index=True)
            if len(old) < len(axis.coupled_axis.ids):
                return None
            found.append((axis.coupled_axis.axis, first))
        return found

    def _axis(self, coupled_axis: CoupledAxis) -> _IndexedAxis | None:
        groups = self.graph.group_of[coupled_axis.ids]
        if (self.copies[groups] == 1).all():
            return None
        index, share, added, numbers = self._index_axis(coupled_axis.ids)
        positions = None
        if len(added):
            sources = index[added]
            positions = NewPositions(
                coupled_axis, added, sources, groups[sources], numbers[added]
            )
        return _IndexedAxis(coupled_axis, index, share, positions)

    def _index_axis(
        self, ids: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Returns old position, share and number of each new entry of an axis.

        The third array holds the entries with a number: those of new units.
        """
        groups = self.graph.group_of[ids]
        counts = self.copies[groups]
        index: np.ndarray = np.repeat(np.arange(len(groups)), counts)
        first = np.cumsum(counts) - counts
        copy = np.arange(len(index)) - np.repeat(first, counts)
        share = np.ones(len(index))
        number = np.full(len(index), -1)
        for k in np.flatnonzero(counts[index] > 1):
            group = int(groups[index[k]])
            share[k] = self._share(group)[copy[k]]
            number[k] = self._number(group)[copy[k]]
        return index, share, np.flatnonzero(number >= 0), number

    def _number(self, one: int) -> np.ndarray:
        found = self._new_numbers.get(one)
        return np.full(self.copies[one], -1) if found is None else found

    def _share(self, one: int) -> np.ndarray:
        if one not in self._shares:
            old = self._number(one) < 0
            self._shares[one] = np.where(old, 1.0 / old.sum(), 1.0)
        return self._shares[one]

    def _map_weight(
        self, new: np.ndarray, number: int, axis: _IndexedAxis, last: int | None
    ) -> int | None:
        """Maps one axis; returns the last axis that got new units so far.

        It decides in which order the statistics of old units are summed up.
        """
        if axis.coupled_axis.role == IN and (axis.share != 1).any():
            new *= axis.along(axis.share, new.ndim).astype(new.dtype)
        if axis.positions is None:
            return last
        key = (id(axis.coupled_axis.variable), axis.coupled_axis.axis)
        if key not in self._fills:  # Moving averages get the same values.
            self._fills[key] = self._fill(
                new, number, axis, axis.positions, last
            )
        _write_new(new, axis, self._fills[key]())
        return axis.coupled_axis.axis

    def _fill(
        self,
        new: np.ndarray,
        number: int,
        axis: _IndexedAxis,
        positions: NewPositions,
        last: int | None,
    ) -> Callable[[], np.ndarray]:
        """Returns a function that gives the values of new units."""
        dim, is_in = axis.coupled_axis.axis, axis.coupled_axis.role == IN
        function = self._outgoing if is_in else self._incoming
        values = None
        if function is not None:
            ordered = _put_in_order(new, last)
            old = np.delete(ordered, positions.indices, axis=dim)
            values = function(positions, old)
        if is_in:
            if values is None:
                return functools.partial(np.zeros, (), new.dtype)
            share = axis.share[positions.indices]
            return _constant(values * axis.along(share, new.ndim))
        if values is not None:
            return _constant(values)
        return _initial_values(new, axis, positions, [self.seed, number], last)


def _put_in_order(new: np.ndarray, first: int | None) -> np.ndarray:
    """Gives an array with an axis as its first in memory, if one is given."""
    if first is None:
        return new
    ordered = np.ascontiguousarray(np.moveaxis(new, first, 0))
    return np.moveaxis(ordered, 0, first)


def _constant(values: Any) -> Callable[[], np.ndarray]:
    array = np.asarray(values)
    return lambda: array


def _write_new(new: np.ndarray, axis: _IndexedAxis, values: np.ndarray) -> None:
    """Writes the values of new units into an array."""
    if axis.positions is None:
        return
    if values.ndim:
        values = np.moveaxis(values, axis.coupled_axis.axis, 0)
    first = np.moveaxis(new, axis.coupled_axis.axis, 0)
    first[axis.positions.indices] = values


def _initial_values(
    new: np.ndarray,
    axis: _IndexedAxis,
    positions: NewPositions,
    seed: Sequence[int],
    last: int | None,
) -> Callable[[], np.ndarray]:
    """Initial values of a new unit's weights, by `CoupledAxis.new_value`."""
    dim, rule = axis.coupled_axis.axis, axis.coupled_axis.new_value
    if rule in ("zeros", "ones"):
        return _constant(float(rule == "ones"))
    first = np.moveaxis(_put_in_order(new, last), dim, 0)
    if rule == "mean":
        means = _segment_means(first, axis, positions)
        return _constant(np.moveaxis(means, 0, dim))
    old = np.delete(first, positions.indices, axis=0)
    size = old[0].size
    np.square(old, out=old)
    scale = np.sqrt(np.mean(old)) or 1 / np.sqrt(size or 1)
    shape = first.shape[1:]

    def draw() -> np.ndarray:
        rng = np.random.default_rng(seed)
        values = positions.sample_slices(
            lambda n: rng.normal(0, scale, (n, *shape))
        )
        return np.moveaxis(values, 0, dim)

    return draw


def _segment_means(
    first: np.ndarray, axis: _IndexedAxis, positions: NewPositions
) -> np.ndarray:
    """Means of the old entries of each segment (gate of a recurrent layer)."""
    ids = axis.coupled_axis.ids
    segments = (np.cumsum(ids == ids[0]) - 1)[axis.index]
    segments = np.maximum(segments, 0)
    is_old: np.ndarray = np.ones(len(first), bool)
    is_old[positions.indices] = False
    return np.stack(
        [
            first[is_old & (segments == segments[k])].mean(axis=0)
            for k in positions.indices
        ]
    )


def _map_slot(new: np.ndarray, axis: _IndexedAxis, kind: str) -> None:
    if kind not in ARRAY_KINDS:
        raise ValueError(
            f"Argument `kind` must be one of {ARRAY_KINDS}. "
            f"Received: kind={kind!r}"
        )
    power = {"gradient": 1, "gradient2": 2, "update": 0}[kind]
    is_made = axis.coupled_axis.role in (OUT, PASS)
    if is_made and power and (axis.share != 1).any():
        share = axis.along(axis.share**power, new.ndim)
        new *= share.astype(new.dtype)
    # Slots of new units start at zero. A mean over the old units in the sums
    # of squares would reduce the steps of new units for a long time.
    _write_new(new, axis, np.zeros((), new.dtype))
