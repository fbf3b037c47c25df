"""What a model's loss multiplies with the sample weights of a batch.

Private names of Keras 3.15: `_compile_loss`, `_flat_losses`, `_user_loss`,
`_user_loss_weights`, `_compute_loss`, `CompileLoss`, `compute_output_spec`.
"""

import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import keras
from keras import ops
from keras.src.backend import compute_output_spec
from keras.src.trainers.compile_utils import CompileLoss

from keras_netopt.training.own_train_step import calls_compute_loss
from keras_netopt.training.sample_loss import has_loss

# Compiled loss, shapes and trace of a model, for its further `fit` calls.
_KNOWN: weakref.WeakKeyDictionary[Any, tuple[Any, Any, Any]] = (
    weakref.WeakKeyDictionary()
)


@dataclass(frozen=True)
class LossCall:
    """One call of a compiled loss.

    Args:
        name: Name of the output.
        loss: The loss.
        values: Shape of its values before reduction.
        weights: Shape of the sample weights, `None` without.
    """

    name: str
    loss: Any
    values: tuple[int, ...]
    weights: tuple[int, ...] | None


@dataclass(frozen=True)
class LossTrace:
    """The calls of compiled losses in a training step.

    Args:
        calls: The calls; none if they cannot be known: the step calls no
            `compute_loss`, or that calls no compiled loss, or it fails.
        outputs: Shapes of the model's outputs; none if it fails.
    """

    calls: list[LossCall] = field(default_factory=list)
    outputs: list[tuple[int, ...]] = field(default_factory=list)


def trace_loss(
    model: keras.Model, x: Any, y: Any, sample_weight: Any
) -> LossTrace:
    """Returns how a training step calls the compiled losses of a model.

    Forward pass and loss are traced with the shapes of a batch, so a
    `compute_loss` of the user's own counts as it is; what cannot be traced
    runs on the batch. Weights, metrics and random states do not change. A
    model that is not built is built, as Keras does before the first step.

    Args:
        model: A compiled model.
        x: Inputs of a batch, as arrays.
        y: Targets.
        sample_weight: Sample weights, or `None`.
    """
    batch, found = (x, y, sample_weight), LossTrace()
    any_loss: Any = getattr(model, "_compile_loss", None)
    shapes = [(one.shape, str(one.dtype)) for one in _arrays(batch)]
    loss, seen, known = _KNOWN.get(model, (None, None, found))
    if loss is any_loss and seen == shapes:
        return known
    has_calls = has_loss(model) and calls_compute_loss(model)

    def step(x: Any, y: Any, sample_weight: Any) -> Any:
        found.calls.clear()
        y_pred = model(x, training=False)
        found.outputs[:] = [
            tuple(one.shape) for one in keras.tree.flatten(y_pred)
        ]
        any_model: Any = model
        return has_calls and any_model._compute_loss(
            x, y, y_pred, sample_weight, training=False
        )

    def trace() -> None:
        compute_output_spec(step, *keras.tree.map_structure(_spec, batch))

    def run() -> None:
        with keras.StatelessScope():
            step(*keras.tree.map_structure(_tensor, batch))

    with _recorded_losses(model, found.calls):
        for attempt in (trace, run):
            # What the user's loss raises, the first step raises as well.
            with suppress(Exception):
                attempt()
                break
    _KNOWN[model] = any_loss, shapes, found
    return found


@contextmanager
def _recorded_losses(model: Any, calls: list[LossCall]) -> Iterator[None]:
    compiled = model._compile_loss
    if compiled is not None:
        model._compile_loss = _RecordedLoss(compiled, calls)
    try:
        yield
    finally:
        model._compile_loss = compiled


class _RecordedLoss(CompileLoss):
    """A compiled loss that notes shapes and computes nothing."""

    _flat_losses: list[Any]

    def __init__(self, compiled: Any, calls: list[LossCall]) -> None:
        super().__init__(
            compiled._user_loss,
            compiled._user_loss_weights,
            output_names=compiled.output_names,
        )
        self._calls = calls

    def build(self, y_true: Any, y_pred: Any) -> None:
        super().build(y_true, y_pred)
        self._flat_losses = [
            CompileLoss.Loss(
                path, _Recorder(loss, name, self._calls), weight, name
            )
            for path, loss, weight, name in self._flat_losses
        ]


@dataclass(frozen=True)
class _Recorder:
    """Stands in for the loss of one output."""

    loss: Any
    name: str
    calls: list[LossCall]

    def __call__(self, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        y, y_pred = keras.tree.map_structure(
            lambda leaf: ops.convert_to_tensor(leaf, dtype=self.loss.dtype),
            (y, y_pred),
        )
        values = ops.convert_to_tensor(self.loss.call(y, y_pred))
        weights = None if sample_weight is None else tuple(sample_weight.shape)
        self.calls.append(
            LossCall(self.name, self.loss, tuple(values.shape), weights)
        )
        return ops.zeros((), dtype=self.loss.dtype)


def _arrays(batch: Any) -> list[Any]:
    return [one for one in keras.tree.flatten(batch) if one is not None]


def _spec(leaf: Any) -> Any:
    if leaf is None:
        return None
    dtype = "string" if leaf.dtype.kind in "USO" else str(leaf.dtype)
    return keras.KerasTensor(leaf.shape, dtype)


def _tensor(leaf: Any) -> Any:
    return None if leaf is None else ops.convert_to_tensor(leaf)
