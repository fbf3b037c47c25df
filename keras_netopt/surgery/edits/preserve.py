"""Tells how far an edit has moved what a model computes."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.training import randomness, sync_variables

MAX_SAMPLES = 64


@dataclass(frozen=True, eq=False)
class Snapshot:
    """What a model answered before an edit; get one from `snapshot`.

    Args:
        data: The inputs.
        inference: One array an output, in inference mode.
        training: The same in training mode: batch statistics and dropout.
        is_random: Whether the inputs are random numbers, not data.
    """

    data: Any
    inference: tuple[np.ndarray, ...]
    training: tuple[np.ndarray, ...]
    is_random: bool = False


@dataclass(frozen=True)
class Preservation:
    """How far the outputs of two models lie apart. `print` shows one line.

    Example:

    >>> found = Preservation(2e-7, 1e-7, 1.0, 3e-7, scale=1.0)
    >>> found.verdict
    'exact'

    Args:
        max_abs: Largest difference of an output in inference mode.
        max_rel: The same, divided by the outputs' standard deviation.
        agreement: Share of samples with the same largest output.
        training: Largest difference in training mode, where batch statistics
            and dropout act.
        scale: The largest output, at least 1.
        tolerance: What still counts as rounding, as a share of `scale`.
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
        data = "random inputs" if self.is_random else "data"
        return (
            f"{self.verdict}: outputs differ by {self.max_abs:.1e} at most "
            f"({self.max_rel:.1e} of their standard deviation, "
            f"{self.training:.1e} in training mode), the largest output is "
            f"the same in {self.agreement:.1%} of the samples ({data})"
        )


def snapshot(model: keras.Model, data: Any = None) -> Snapshot | None:
    """Keeps what a model answers, for `check_preserved` after an edit.

    The model is left as it is: neither moving averages nor random seeds move.

    Example:

    >>> import keras
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    >>> before = snapshot(model)
    >>> before.inference[0].shape
    (64, 2)

    Args:
        model: A built model.
        data: Inputs as `model.predict` takes them in one piece; the first 64
            samples are used. Defaults to `None`: normal random numbers.

    Returns:
        The answers, or `None` where there are no data and the model has
        inputs that are not floats or have no fixed shape.

    Raises:
        TypeError: If `model` is not a `keras.Model`.
        ValueError: If `data` holds no sample.
    """
    _check_model(model, "model")
    is_random = data is None
    if is_random:
        data = _random_inputs(model)
        if data is None:
            return None
    data = keras.tree.map_structure(lambda x: np.asarray(x)[:MAX_SAMPLES], data)
    if not all(len(array) for array in keras.tree.flatten(data)):
        raise ValueError(
            "Argument `data` must hold at least one sample. Received: "
            f"shapes={[a.shape for a in keras.tree.flatten(data)]}"
        )
    return Snapshot(
        data,
        _answers(model, data, training=False),
        _answers(model, data, training=True),
        is_random,
    )


def check_preserved(
    before: "keras.Model | Snapshot",
    after: keras.Model,
    data: Any = None,
    *,
    tolerance: float = 1e-5,
) -> Preservation:
    """Compares what a model computes before and after an edit.

    Edits are made in place, so keep the answers of the old model with
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
        data: Inputs as `model.predict` takes them; needed where `before` is
            a model. Defaults to `None`: those of the snapshot.
        tolerance: What counts as rounding, as a share of the largest output
            (at least 1). Defaults to `1e-5`.

    Returns:
        The comparison.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If there are no data, `tolerance` is not above 0, or the
            outputs have other shapes.
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
    old = before if isinstance(before, Snapshot) else snapshot(before, data)
    if old is None:
        raise ValueError(
            "Argument `data` must hold inputs of a model whose inputs are not "
            "floats of a fixed shape. Received: data=None"
        )
    new = _answers(after, old.data, training=False)
    shapes = [[a.shape for a in answers] for answers in (old.inference, new)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            "The outputs of both models must have the same shapes. Received: "
            f"before={shapes[0]}, after={shapes[1]}"
        )
    training = _answers(after, old.data, training=True)
    gaps = _gaps(old.inference, new)
    spread = max(float(np.std(a)) for a in old.inference)
    return Preservation(
        max_abs=gaps,
        max_rel=gaps / spread if spread else float(gaps > 0) and np.inf,
        agreement=_agreement(old.inference, new),
        training=_gaps(old.training, training),
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


def _gaps(old: tuple[np.ndarray, ...], new: tuple[np.ndarray, ...]) -> float:
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


def _answers(
    model: keras.Model, data: Any, *, training: bool
) -> tuple[np.ndarray, ...]:
    """Calls the model so that nothing that it assigns is kept."""
    sync_variables(model)
    inputs = keras.tree.map_structure(ops.convert_to_tensor, data)
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
    for tensor in model.inputs:
        shape = tuple(tensor.shape[1:])
        is_float = "float" in keras.backend.standardize_dtype(tensor.dtype)
        if not is_float or None in shape:
            return None
        array = rng.normal(size=(MAX_SAMPLES, *shape)).astype("float32")
        arrays.append(array)
    return arrays[0] if len(arrays) == 1 else arrays
