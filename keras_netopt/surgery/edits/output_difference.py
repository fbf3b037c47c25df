"""Measures how much an edit changes the outputs of a model."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.report import Report
from keras_netopt.training import randomness, sync_variables

MAX_SAMPLES = 64


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The outputs of a model before an edit; made by `snapshot`.

    Args:
        x: The inputs.
        inference: One array per output, in inference mode.
        training: The same in training mode: batch statistics and dropout.
        is_random: Whether the inputs are random numbers.
    """

    x: Any
    inference: tuple[np.ndarray, ...]
    training: tuple[np.ndarray, ...]
    is_random: bool = False


@dataclass(frozen=True)
class OutputDifference(Report):
    """Difference between the outputs of two models; `print` shows one line.

    Example:

    >>> found = OutputDifference(2e-7, 1e-7, 1.0, 3e-7, scale=1.0)
    >>> found.verdict
    'exact'

    Args:
        max_abs: Largest absolute difference of an output in inference mode.
        max_rel: The same, divided by the outputs' standard deviation.
        agreement: Share of samples with the same argmax.
        training: Largest absolute difference in training mode, with batch
            statistics and dropout.
        scale: The largest absolute output, at least 1.
        tolerance: Difference that counts as rounding, as a share of `scale`.
            Defaults to `1e-5`.
        is_random: Whether the inputs were random numbers. Defaults to `False`.
    """

    max_abs: float
    max_rel: float
    agreement: float
    training: float
    scale: float
    tolerance: float = 1e-5
    is_random: bool = False

    @property
    def verdict(self) -> str:
        """One of "exact", "close" (100 times the tolerance) and "changed"."""
        if self.max_abs <= self.tolerance * self.scale:
            return "exact"
        if self.max_abs <= 100 * self.tolerance * self.scale:
            return "close"
        return "changed"

    def __str__(self) -> str:
        inputs = "random inputs" if self.is_random else "data"
        return (
            f"{self.verdict}: outputs differ by {self.max_abs:.1e} at most "
            f"({self.max_rel:.1e} of their standard deviation, "
            f"{self.training:.1e} in training mode), the argmax is the same "
            f"in {self.agreement:.1%} of the samples ({inputs})"
        )


def snapshot(model: keras.Model, x: Any = None) -> Snapshot | None:
    """Stores the outputs of a model, for `check_preserved` after an edit.

    The model is unchanged, its moving averages and random seeds included.

    Example:

    >>> import keras
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    >>> before = snapshot(model)
    >>> before.inference[0].shape
    (64, 2)

    Args:
        model: A built model.
        x: Inputs as `model.predict` takes them, as arrays; the first 64
            samples are used. Defaults to `None`: standard normal numbers.

    Returns:
        The outputs, or `None` if `x` is `None` and the model is subclassed or
        has an input that is not a float tensor of fixed shape.

    Raises:
        TypeError: If `model` is not a `keras.Model`.
        ValueError: If `x` holds no sample.
    """
    _check_model(model, "model")
    is_random = x is None
    if is_random:
        x = _random_inputs(model)
        if x is None:
            return None
    x = keras.tree.map_structure(lambda a: np.asarray(a)[:MAX_SAMPLES], x)
    if not all(len(array) for array in keras.tree.flatten(x)):
        raise ValueError(
            "Argument `x` must hold at least one sample. Received: "
            f"shapes={[a.shape for a in keras.tree.flatten(x)]}"
        )
    return Snapshot(
        x,
        _predict(model, x, training=False),
        _predict(model, x, training=True),
        is_random,
    )


def check_preserved(
    before: "keras.Model | Snapshot",
    after: keras.Model,
    x: Any = None,
    *,
    tolerance: float = 1e-5,
) -> OutputDifference:
    """Compares the outputs of a model before and after an edit.

    Edits are made in place, so store the outputs before the edit with
    `snapshot`, or compare with a clone.

    Example:

    >>> import keras
    >>> from keras_netopt import surgery
    >>> model = keras.Sequential([
    ...     keras.Input((4,)),
    ...     keras.layers.Dense(3, activation="relu", name="hidden"),
    ...     keras.layers.Dense(2),
    ... ])
    >>> before = surgery.snapshot(model)
    >>> report = surgery.widen(model, "hidden", to=5)
    >>> surgery.check_preserved(before, model).verdict
    'exact'

    Args:
        before: A snapshot, or another model with the same inputs.
        after: The edited model.
        x: Inputs as `model.predict` takes them, as arrays; used where
            `before` is a model. Defaults to `None`: those of the snapshot,
            or standard normal numbers.
        tolerance: Difference that counts as rounding, as a share of the
            largest output (at least 1). Defaults to `1e-5`.

    Returns:
        The comparison.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If `x` is needed and missing, `tolerance` is not above 0,
            or the shapes of the outputs differ.
    """
    if not isinstance(before, Snapshot):
        _check_model(before, "before")
    _check_model(after, "after")
    if not tolerance > 0:
        raise ValueError(
            "Argument `tolerance` must be above 0. "
            f"Received: tolerance={tolerance}"
        )
    old: Snapshot | None
    old = before if isinstance(before, Snapshot) else snapshot(before, x)
    if old is None:
        raise ValueError(
            "Argument `x` is needed for a subclassed model, and for one whose "
            "inputs are not float tensors of fixed shape. Received: x=None"
        )
    new = _predict(after, old.x, training=False)
    shapes = [[a.shape for a in outputs] for outputs in (old.inference, new)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            "The outputs of both models must have the same shapes. Received: "
            f"before={shapes[0]}, after={shapes[1]}"
        )
    training = _predict(after, old.x, training=True)
    difference = _max_difference(old.inference, new)
    deviation = max(float(np.std(a)) for a in old.inference)
    return OutputDifference(
        max_abs=difference,
        max_rel=difference / deviation
        if deviation
        else float(difference > 0) and np.inf,
        agreement=_agreement(old.inference, new),
        training=_max_difference(old.training, training),
        scale=max(1.0, *(float(np.abs(a).max()) for a in old.inference)),
        tolerance=tolerance,
        is_random=old.is_random,
    )


def _check_model(model: Any, name: str) -> None:
    if not isinstance(model, keras.Model):
        raise TypeError(
            f"Argument `{name}` must be a `keras.Model`. "
            f"Received: {name}={model!r}"
        )


def _max_difference(
    old: tuple[np.ndarray, ...], new: tuple[np.ndarray, ...]
) -> float:
    return max(
        float(np.abs(a - b).max()) for a, b in zip(old, new, strict=True)
    )


def _agreement(
    old: tuple[np.ndarray, ...], new: tuple[np.ndarray, ...]
) -> float:
    same = [
        np.mean(a.argmax(axis=-1) == b.argmax(axis=-1)) if a.ndim else 1.0
        for a, b in zip(old, new, strict=True)
    ]
    return float(min(same))


def _predict(
    model: keras.Model, x: Any, *, training: bool
) -> tuple[np.ndarray, ...]:
    """Calls the model and discards every assignment to its variables."""
    sync_variables(model)
    inputs = keras.tree.map_structure(ops.convert_to_tensor, x)
    state = randomness.capture_random_state(model)
    with keras.StatelessScope():
        outputs = model(inputs, training=training)
    randomness.restore_random_state(model, state)
    return tuple(
        np.asarray(ops.convert_to_numpy(ops.cast(output, "float32")))
        for output in keras.tree.flatten(outputs)
    )


def _random_inputs(model: keras.Model) -> Any:
    rng = np.random.default_rng(0)
    arrays = []
    inputs = getattr(model, "inputs", None)
    if inputs is None:  # The dtypes of a subclassed model are unknown.
        return None
    for tensor in inputs:
        shape = tuple(tensor.shape[1:])
        is_float = "float" in keras.backend.standardize_dtype(tensor.dtype)
        if not is_float or None in shape:
            return None
        array = rng.normal(size=(MAX_SAMPLES, *shape)).astype("float32")
        arrays.append(array)
    return arrays[0] if len(arrays) == 1 else arrays
