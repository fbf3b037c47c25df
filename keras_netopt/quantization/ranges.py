"""Trained ranges of activations, attached to a model."""

import contextlib
import functools
from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np

from keras_netopt.graph.intercepted_graph import run_intercepted
from keras_netopt.quantization.activation_range import ActivationRange
from keras_netopt.quantization.placement import (
    RangePlace,
    check_graph,
    find_places,
)
from keras_netopt.training.backend import (
    commit_variables,
    reset_compiled_functions,
    sync_variables,
)
from keras_netopt.training.checkpoint_state import Arrays, CheckpointState
from keras_netopt.training.hidden_state import (
    add_hidden_state,
    override_activation,
)
from keras_netopt.training.optimizers import variable_scope
from keras_netopt.training.override_method import override_method

ENTRY = "ranges"
LEAST = 1e-4  # Of the widest range.
Slot = tuple[int, int, int, str, int]


class ActivationRanges:
    """The activation ranges of a model, which round its activations to int8.

    `callbacks.Quantization(activations=True)` creates and trains them; use
    this class in a training loop of your own, or to read the ranges.
    `ActivationRanges.attach` creates them, `ActivationRanges.of` finds them.

    Every call of the model rounds each activation that LiteRT stores to the
    256 values of a range: in training, `evaluate`, `predict` and export.
    Training moves the ranges, nothing else does. They are in
    `model.variables`, and neither in `model.weights` nor in Keras' part of
    files. Of a layer that the model calls several times each call has ranges
    of its own; the calls of a nested model share those inside it.

    Example:

    >>> import keras
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(50)])
    >>> ranges = ActivationRanges.attach(model)
    >>> ranges.values().shape
    (2, 2)
    >>> ActivationRanges.of(model) is ranges
    True

    Args:
        model: A Functional or a built Sequential model.

    Reference:
        Jacob et al., 2018, https://arxiv.org/abs/1712.05877
    """

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self.places: list[RangePlace] = []
        self._ranges: dict[Slot, ActivationRange] = {}
        self._removals: dict[Slot, Callable[[], None]] = {}
        self._overrides: dict[int, Callable[[], None]] = {}

    @classmethod
    def of(cls, model: keras.Model) -> "ActivationRanges | None":
        """Returns the model's activation ranges or `None`."""
        state = CheckpointState.find(model)
        found = None if state is None else state.states.get(ENTRY)
        return found if isinstance(found, cls) else None

    @classmethod
    def attach(cls, model: keras.Model) -> "ActivationRanges":
        """Adds a range to each activation that LiteRT stores.

        The next batch of training sets the ranges. A second call adds nothing.

        Args:
            model: A Functional or a built Sequential model.

        Returns:
            The ranges.

        Raises:
            ValueError: If the model has no graph of calls, or the `call` of
                one of its layers is overridden on the instance.
        """
        found = cls.of(model)
        if found is not None:
            return found
        check_graph(model)
        found = cls(model)
        found.update()
        CheckpointState.of(model).states[ENTRY] = found
        return found

    def update(self) -> None:
        """Adds the ranges of new layers after the graph was edited.

        Ranges of layers that are gone are removed, others stay as they are.
        """
        places = {_slot(place): place for place in find_places(self._model)}
        if list(places) == list(self._ranges):
            return
        sync_variables(self._model)
        for slot in [slot for slot in self._ranges if slot not in places]:
            self._remove(slot)
        with variable_scope(self._model):
            for slot, place in places.items():
                if slot not in self._ranges:
                    self._add(slot, place)
        self.places = list(places.values())
        self._ranges = {slot: self._ranges[slot] for slot in places}
        for place in self.places:
            if id(place.owner) not in self._overrides:
                self._override_call(place.owner)
        self._renew()

    def detach(self) -> None:
        """Removes the ranges: the model computes as before `attach`."""
        sync_variables(self._model)
        for slot in list(self._ranges):
            self._remove(slot)
        for undo in self._overrides.values():
            undo()
        self._overrides.clear()
        self.places = []
        CheckpointState.of(self._model).states.pop(ENTRY, None)
        self._renew()

    def values(self) -> np.ndarray:
        """Returns minimum and maximum of each place, of shape `(n, 2)`.

        A range that no batch has set is `(0, -1)`.
        """
        sync_variables(self._model)
        found = [one.value() for one in self._ranges.values()]
        return np.reshape(np.array(found, "float32"), (-1, 2))

    def assign(self, values: np.ndarray) -> None:
        """Sets the ranges, in the form of `values()`."""
        shape = (len(self.places), 2)
        if np.shape(values) != shape:
            raise ValueError(
                "Activation ranges fit models of the structure in which they "
                f"were trained: model {self._model.name!r} needs values of "
                f"shape {shape}. Received: shape {np.shape(values)}. Remove "
                "the ranges with `quantization.remove_ranges` and train again."
            )
        sync_variables(self._model)
        for one, value in zip(self._ranges.values(), values, strict=True):
            one.state.assign(value)
        commit_variables(self._model)

    def measure(self, batches: Iterable[Any]) -> None:
        """Sets the ranges to the smallest and largest values on some inputs.

        The model computes in float and in inference mode meanwhile; nothing
        else of it changes.

        Args:
            batches: Inputs of the model, at least one batch.
        """
        with self._enter(ActivationRange.measured):
            for inputs in batches:
                self._model(inputs, training=False)
        self._renew()

    @property
    def are_set(self) -> bool:
        """Whether a batch of training has set the ranges."""
        values = self.values()
        return bool(np.all(values[:, 1] >= values[:, 0]))

    @property
    def is_suspended(self) -> bool:
        """Whether a context of `suspended` is open."""
        return any(not one.is_active for one in self._ranges.values())

    @property
    def least_width(self) -> float:
        """The width to which `frozen` widens narrower ranges.

        LiteRT ends the process where the input of a layer has a scale many
        times that of its output, as behind units that are 0 almost always.
        """
        values = self.values()
        return LEAST * float(np.max(values[:, 1] - values[:, 0], initial=0.0))

    def frozen(self) -> contextlib.ExitStack:
        """Makes the ranges constants of what is traced in the context."""
        least = self.least_width
        return self._enter(lambda one: one.frozen(least))

    def suspended(self) -> contextlib.ExitStack:
        """Rounds nothing in the context, in functions that are traced there."""
        return self._enter(ActivationRange.suspended)

    def save_state(self) -> tuple[dict[str, Any], Arrays]:
        """Called by `CheckpointState` whenever the weights are saved."""
        return {}, {"ranges": self.values()}

    def load_state(self, arrays: Arrays) -> None:
        """Sets the ranges that a file holds."""
        self.assign(arrays["ranges"])

    def _enter(self, context: Callable[[Any], Any]) -> contextlib.ExitStack:
        sync_variables(self._model)
        with contextlib.ExitStack() as stack:
            for one in self._ranges.values():
                stack.enter_context(context(one))
            return stack.pop_all()

    def _renew(self) -> None:
        commit_variables(self._model)
        reset_compiled_functions(self._model)

    def _add(self, slot: Slot, place: RangePlace) -> None:
        name = f"activation_range_{len(self._ranges)}"
        one = self._ranges[slot] = ActivationRange(name, place.fixed)
        if place.fixed is None:
            self._removals[slot] = add_hidden_state(place.owner, one)

    def _remove(self, slot: Slot) -> None:
        del self._ranges[slot]
        if slot in self._removals:
            self._removals.pop(slot)()

    def _override_call(self, owner: Any) -> None:
        def call(inputs: Any, training: Any = None, **options: Any) -> Any:
            step = _Step(self._ranges, owner, bool(training))
            options["training"] = training
            return run_intercepted(
                owner, inputs, options, step.on_inputs, step.on_call
            )

        self._overrides[id(owner)] = override_method(owner, "call", call)


class _Step:
    """One call of a model: rounds its inputs and the outputs of its calls."""

    def __init__(
        self, ranges: dict[Slot, ActivationRange], owner: Any, training: bool
    ) -> None:
        self._ranges, self._owner = ranges, owner
        self._training = training

    def on_inputs(self, inputs: list[Any]) -> list[Any]:
        return [
            self._round(self._owner, 0, "input", i, x)
            for i, x in enumerate(inputs)
        ]

    def on_call(self, operation: Any, number: int, run: Any) -> Any:
        key = (id(self._owner), id(operation), number, "inner", 0)
        if key in self._ranges:
            function = functools.partial(
                self._round, operation, number, "inner", 0
            )
            with override_activation(operation, function):
                outputs = run()
        else:
            outputs = run()
        flat = [
            self._round(operation, number, "output", i, x)
            for i, x in enumerate(keras.tree.flatten(outputs))
        ]
        return keras.tree.pack_sequence_as(outputs, flat)

    def _round(
        self, operation: Any, number: int, kind: str, index: int, x: Any
    ) -> Any:
        key = (id(self._owner), id(operation), number, kind, index)
        one = self._ranges.get(key)
        if one is None or x is None:
            return x
        return one.fake_quantize(x, training=self._training)


def _slot(place: RangePlace) -> Slot:
    owner, operation = id(place.owner), id(place.operation)
    return owner, operation, place.number, place.kind, place.index
