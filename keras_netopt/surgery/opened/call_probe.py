"""Runs a call of an opened layer before and after an edit."""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.graph.open_call import InlinedCall, symbolic_tensors
from keras_netopt.surgery.coupled_axis import IN
from keras_netopt.surgery.edits.edit_plan import EditPlan

# The largest absolute entry of weights that are taken for zeros.
TINY = 1e-3
Values = tuple[Any, np.ndarray]


class CallProbe:
    """What a call must return after an edit, measured before it.

    The inputs are random. Removed units are zero in the inputs, and so are
    the weights that take them as input: the edit must then not change the
    other outputs. Weights that are nearly zero, such as those that start a
    residual branch, would hide a difference: random ones stand for them.
    """

    def __init__(self, graph: Any, plan: EditPlan, call: InlinedCall) -> None:
        self._call = call
        self._graph, self._plan = graph, plan
        tensors = call.input_tensors
        rng = np.random.default_rng(0)
        values = {id(t): _random_values(rng, t) for t in tensors}
        self._inputs = {
            id(t): self._resize(t, values[id(t)], fresh=0.0) for t in tensors
        }
        for tensor in tensors:
            values[id(tensor)] = self._without_removed(tensor, values)
        tiny = self._random_weights(rng)
        self._weights = [(v, self._cut(v, value)) for v, value in tiny]
        outputs = _run(call, values, self._masked_variables(tiny))
        # `None` where the trace and the call itself return different tensors.
        self._expected = None
        if len(outputs) == len(self._made()):
            self._expected = [
                self._resize(tensor, value, fresh=np.nan)
                for tensor, value in zip(self._made(), outputs, strict=True)
            ]

    def error(self) -> float:
        """Runs the edited call; returns its largest relative difference.

        That is infinite if the call raises an error or cannot be compared.
        """
        if self._expected is None:
            return float("inf")
        try:
            outputs = _run(self._call, self._inputs, self._weights)
        # The code of a user's `call` may raise any error.
        except Exception:
            return float("inf")
        shapes = [one.shape for one in self._expected]
        if [one.shape for one in outputs] != shapes:
            return float("inf")
        return max(map(_difference, outputs, self._expected), default=0.0)

    def _made(self) -> list[Any]:
        """The outputs that depend on the inputs or weights."""
        return symbolic_tensors(self._call.outputs)

    def _resize(self, tensor: Any, value: Any, fresh: float) -> np.ndarray:
        """Applies the edit to a value; `fresh` is that of new units."""
        value = np.asarray(value)
        for axis, ids in self._graph.channel_axes(tensor).items():
            index, new = self._plan.positions(ids)
            value = np.take(value, index, axis)
            if new.any():
                if np.isnan(fresh):
                    value = value.astype("float64")
                np.moveaxis(value, axis, 0)[new] = fresh
        return value

    def _without_removed(self, tensor: Any, values: Any) -> np.ndarray:
        value = values[id(tensor)].copy()
        for axis, ids in self._graph.channel_axes(tensor).items():
            gone = self._plan.copies[self._graph.group_of[ids]] == 0
            np.moveaxis(value, axis, 0)[gone] = 0
        return value

    def _random_weights(self, rng: np.random.Generator) -> list[Values]:
        if (self._plan.copies > 1).any():
            return []  # How new units start is not part of a plan.
        found = []
        for one in self._call.operation.trainable_variables:
            value = np.asarray(ops.convert_to_numpy(one)).astype("float32")
            if np.abs(value).max(initial=0.0) < TINY:
                # Positive: a root or a logarithm of a weight stays finite.
                found.append((one, rng.uniform(0.5, 1.5, value.shape)))
        return found

    def _cut(self, variable: Any, value: np.ndarray) -> np.ndarray:
        axes = {
            one.axis: one.ids
            for one in self._graph.coupled_axes
            if one.variable is variable
        }
        for axis, ids in axes.items():
            value = np.take(value, self._plan.positions(ids)[0], axis)
        return value

    def _masked_variables(self, given: list[Values]) -> list[Values]:
        held = {id(variable) for variable in self._call.operation.variables}
        masked = {id(one): (one, value.copy()) for one, value in given}
        for one in self._graph.coupled_axes:
            gone = self._plan.copies[self._graph.group_of[one.ids]] == 0
            if one.role != IN or id(one.variable) not in held or not gone.any():
                continue
            if id(one.variable) not in masked:
                value = np.array(ops.convert_to_numpy(one.variable))
                masked[id(one.variable)] = one.variable, value
            value = masked[id(one.variable)][1]
            np.moveaxis(value, one.axis, 0)[gone] = 0
        return list(masked.values())


def _random_values(rng: np.random.Generator, tensor: Any) -> np.ndarray:
    shape, dtype = (
        tuple(tensor.shape),
        keras.backend.standardize_dtype(tensor.dtype),
    )
    if "float" in dtype:
        return rng.normal(size=shape).astype("float32")
    if dtype == "bool":
        return np.ones(shape, "bool")
    return (np.arange(np.prod(shape, dtype=int)) % 2).reshape(shape)


def _run(
    call: InlinedCall,
    values: dict[int, np.ndarray],
    variables: Iterable[tuple[Any, np.ndarray]] = (),
) -> list[np.ndarray]:
    """Calls the layer on values; the state of the layer does not change."""

    def fill(leaf: Any) -> Any:
        if not isinstance(leaf, keras.KerasTensor):
            return leaf
        return ops.convert_to_tensor(values[id(leaf)], leaf.dtype)

    args, kwargs = keras.tree.map_structure(fill, (call.args, call.kwargs))
    mapping = [
        (variable, ops.convert_to_tensor(value, variable.dtype))
        for variable, value in variables
    ]
    with keras.StatelessScope(mapping):
        outputs = call.operation(*args, **kwargs)
    made = [leaf for leaf in keras.tree.flatten(outputs) if ops.is_tensor(leaf)]
    if len(made) != len(call.outputs):
        return []
    return [
        np.asarray(ops.convert_to_numpy(ops.cast(leaf, "float32")))
        for leaf, tensor in zip(made, call.outputs, strict=True)
        if isinstance(tensor, keras.KerasTensor)
    ]


def _difference(got: np.ndarray, expected: np.ndarray) -> float:
    compared = np.isfinite(expected) & np.isfinite(got)
    if not np.array_equal(
        np.isfinite(got) | np.isnan(expected), compared | np.isnan(expected)
    ):
        return float("inf")
    gap = np.abs(got[compared].astype("float64") - expected[compared])
    scale = np.abs(expected[compared]).max(initial=1.0)
    return float(gap.max(initial=0.0) / scale)
