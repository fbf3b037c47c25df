"""The training data of a run: batches, samples and labels."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_netopt.export.model_inputs import fits
from keras_netopt.training.batches import iterate_batches

INFINITE = -1  # Of `tf.data.Dataset.cardinality`.


class ShuffledBatches(keras.utils.PyDataset):
    """Batches of arrays in an order of its own for every epoch.

    The order depends on the seed and the number of the epoch alone: after
    `keras.utils.set_random_seed`, TensorFlow's own shuffling would repeat one
    order in every epoch.

    Args:
        data: `(x, y)` or `(x, y, sample_weight)`, structures of arrays.
        batch_size: Samples per batch.
        seed: Seed of the order.
    """

    def __init__(
        self, data: tuple[Any, ...], batch_size: int, seed: int
    ) -> None:
        super().__init__()
        self._data = data
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = 0
        self._count = count_samples(data)
        self._shuffle()

    def __len__(self) -> int:
        """Returns the number of batches."""
        return -(-self._count // self._batch_size)

    def __getitem__(self, index: int) -> Any:
        """Returns a batch."""
        start = index * self._batch_size
        rows = self._order[start : start + self._batch_size]
        return keras.tree.map_structure(lambda array: array[rows], self._data)

    def on_epoch_end(self) -> None:
        """Called by Keras; shuffles."""
        self._epoch += 1
        self._shuffle()

    def _shuffle(self) -> None:
        rng = np.random.default_rng([self._seed, self._epoch])
        self._order = rng.permutation(self._count)


class TrainingData:
    """What `fit` trains on, in the form that the user gave.

    Args:
        x: Inputs, or a data set of batches.
        y: Labels, or `None` for a data set.
        sample_weight: One weight per sample, or `None`.
        batch_size: Samples per batch of arrays.
    """

    def __init__(
        self, x: Any, y: Any, sample_weight: Any, batch_size: int
    ) -> None:
        self.batch_size = batch_size
        self.is_arrays = y is not None
        if not self.is_arrays:
            _check_dataset(x, sample_weight)
            check_end(x, "x")
            self._source = x
            return
        parts = (x, y) if sample_weight is None else (x, y, sample_weight)
        self._source = tuple(as_arrays(part) for part in parts)
        count_samples(self._source)
        names = ("x", "y", "sample_weight")
        for name, part in zip(names, self._source, strict=False):
            _check_finite(part, name)

    @property
    def steps(self) -> int | None:
        """Number of batches of an epoch, `None` if it is unknown."""
        if self.is_arrays:
            return -(-count_samples(self._source) // self.batch_size)
        try:
            count = len(self._source)
        except TypeError:  # Of unknown length, or infinite.
            return None
        return count if count > 0 else None

    def batches(self, seed: int) -> Any:
        """Returns what `fit` takes."""
        if self.is_arrays:
            return ShuffledBatches(self._source, self.batch_size, seed)
        return self._source

    def sample(self, count: int) -> tuple[Any, Any]:
        """Returns inputs and labels of about `count` samples, as arrays."""
        found: list[Any] = []
        number = 0
        for x, y, _ in iterate_batches(self._source, samples=count):
            if any(np.ndim(array) == 0 for array in keras.tree.flatten((x, y))):
                raise ValueError(
                    "Argument `x` must yield batches of inputs and labels. "
                    "Received: single samples, or batches without labels. "
                    "Call `.batch(32)` on a data set of single samples."
                )
            found.append((x, y))
            number += len(keras.tree.flatten(x)[0])
            if number >= count:
                break
        first, *rest = found
        parts = keras.tree.map_structure(
            lambda *arrays: np.concatenate(arrays), first, *rest
        )
        return parts[0], parts[1]


def count_samples(data: Any) -> int:
    """Returns the number of samples of a structure of arrays.

    Raises:
        ValueError: If the arrays are of several lengths, or empty.
    """
    lengths = {len(array) for array in keras.tree.flatten(data)}
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(
            "Arguments `x`, `y` and `sample_weight` must hold equally many "
            f"samples, at least one. Received: lengths {sorted(lengths)}"
        )
    return lengths.pop()


def name_inputs(x: Any, names: tuple[str, ...]) -> Any:
    """Returns inputs as an array or a dict by the names in the file."""
    flat = keras.tree.flatten(x)
    if isinstance(x, Mapping) and set(x) <= set(names):
        return x
    if len(names) == 1 and len(flat) == 1:
        return flat[0]
    return dict(zip(names, flat, strict=True))


def check_inputs(x: Any, shapes: Mapping[str, tuple[int | None, ...]]) -> None:
    """Compares a batch of inputs with those of the model.

    Args:
        x: A structure of arrays.
        shapes: Shapes with batch axes, `None` where an axis is free.

    Raises:
        ValueError: If an input is missing, has another shape or is not
            finite.
    """
    flat = keras.tree.flatten(x)
    named = name_inputs(x, tuple(shapes)) if len(flat) == len(shapes) else {}
    if len(shapes) == 1 and flat and not isinstance(named, Mapping):
        named = {next(iter(shapes)): named}
    if set(named) != set(shapes):
        raise ValueError(
            f"Argument `x` must hold the inputs {sorted(shapes)}. "
            f"Received: {len(flat)} arrays"
        )
    for name, wanted in shapes.items():
        _check_finite(named[name], "x")
        found = tuple(named[name].shape)
        if not fits(found[1:], wanted[1:]):
            raise ValueError(
                f"Argument `x` must have the shape {(None, *wanted[1:])} for "
                f"input {name!r}. Received: shape {found}"
            )


def _check_finite(data: Any, name: str) -> None:
    for array in keras.tree.flatten(data):
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(
                f"Argument `{name}` must hold finite numbers. Received: "
                f"{int(np.sum(~np.isfinite(array))):,} of {array.size:,} "
                "values are NaN or infinite"
            )


def _check_dataset(x: Any, sample_weight: Any) -> None:
    if isinstance(x, Mapping | str) or hasattr(x, "shape"):
        raise ValueError(
            "Argument `y` must be given for arrays. Received: y=None. Pass "
            "the labels, or a data set of batches `(x, y)` as `x`."
        )
    if not hasattr(x, "__iter__") and not isinstance(x, keras.utils.PyDataset):
        raise TypeError(
            "Argument `x` must be arrays, or a data set of batches `(x, y)` "
            "such as a `tf.data.Dataset` or a `PyDataset`. "
            f"Received: x of type {type(x).__name__}"
        )
    if iter_once(x):
        raise ValueError(
            "Argument `x` must be a data set that can be read several times. "
            f"Received: x of type {type(x).__name__}, which is used up"
        )
    if sample_weight is not None:
        raise ValueError(
            "Argument `sample_weight` must be None for a data set, whose "
            "batches hold the weights: `(x, y, sample_weight)`. "
            f"Received: sample_weight of type {type(sample_weight).__name__}"
        )


def check_end(data: Any, name: str) -> None:
    """Raises ValueError for a `tf.data.Dataset` that never ends."""
    cardinality = getattr(data, "cardinality", None)
    if callable(cardinality) and int(cardinality()) == INFINITE:
        raise ValueError(
            f"Argument `{name}` must be data that end. "
            f"Received: {name} of type {type(data).__name__} that repeats "
            "without end. Leave `repeat()` out, or add `take(batches)`."
        )


def iter_once(x: Any) -> bool:
    """Whether data are an iterator, which can be read only once."""
    return hasattr(x, "__next__")


def as_arrays(value: Any) -> Any:
    """Returns a structure of arrays; a list of numbers is one array."""
    if isinstance(value, Mapping):
        return {name: as_arrays(one) for name, one in value.items()}
    if isinstance(value, list | tuple) and any(
        hasattr(one, "shape") or isinstance(one, Mapping) for one in value
    ):
        return type(value)(as_arrays(one) for one in value)
    if keras.ops.is_tensor(value):
        return np.asarray(keras.ops.convert_to_numpy(value))
    return np.asarray(value)
