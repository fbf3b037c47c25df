"""Samples by number, out of whatever a user trains on."""

from collections.abc import Callable
from typing import Any, Protocol

import keras
import numpy as np

Fetched = tuple[Any, Any, np.ndarray | None]


class Source(Protocol):
    """What the curriculum needs to know of data.

    `unit` is "sample", or "batch" where whole batches are all that can be
    asked for. `y` and `sample_weight` hold those of all samples where they
    are known without reading the data sample by sample. `buffer` says how
    many samples may wait where the data come in one order only, else `None`.
    """

    unit: str
    buffer: int | None
    samples: int
    y: Any
    sample_weight: Any

    def fetch(self, ids: np.ndarray) -> Fetched:
        """Returns `(x, y, sample_weight)` of some samples, in this order."""
        ...


class ArraySource:
    """Arrays, tensors, and nested structures of them, all in memory.

    Example:

    >>> import numpy as np
    >>> source = ArraySource({"a": np.arange(4.0)}, np.arange(4))
    >>> source.fetch(np.array([2, 0]))
    ({'a': array([2., 0.], dtype=float32)}, array([2, 0]), None)

    Args:
        x: Inputs, as `fit` takes them.
        y: Targets, or `None`.
        sample_weight: Weight of each sample or token, or `None`.

    Raises:
        TypeError: If something cannot be indexed.
        ValueError: If the lengths differ, nothing is there, or a weight is
            negative or not finite.
    """

    unit = "sample"
    buffer: int | None = None

    def __init__(self, x: Any, y: Any = None, sample_weight: Any = None):
        parts = {"x": x, "y": y, "sample_weight": sample_weight}
        arrays = {name: _as_arrays(part, name) for name, part in parts.items()}
        self.samples = _one_length(arrays)
        self.x, self.y = arrays["x"], arrays["y"]
        self.sample_weight = arrays["sample_weight"]
        check_weights(self.sample_weight)

    def fetch(self, ids: np.ndarray) -> Fetched:
        """Returns some samples, in this order."""
        weight = self.sample_weight
        return (
            keras.tree.map_structure(_take(ids), self.x),
            None
            if self.y is None
            else keras.tree.map_structure(_take(ids), self.y),
            None if weight is None else weight[ids],
        )


def check_weights(weight: Any) -> None:
    """Refuses sample weights that cannot be meant.

    Args:
        weight: An array, or `None`.

    Raises:
        ValueError: If a weight is negative or not finite.
    """
    if weight is None:
        return
    wrong = ~(np.isfinite(weight) & (weight >= 0))
    if wrong.any():
        raise ValueError(
            "Argument `sample_weight` must be finite and at least 0. "
            f"Received: sample_weight with {weight[wrong][0]} at "
            f"{np.argwhere(wrong)[0].tolist()}"
        )


def standard(array: np.ndarray) -> np.ndarray:
    """Returns float64 data in Keras' own float type, as `fit` would."""
    if array.dtype == "float64":
        return array.astype(keras.config.floatx())
    return array


def _take(ids: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    return lambda array: standard(array[ids])


def _as_arrays(part: Any, name: str) -> Any:
    if part is None:
        return None
    if isinstance(part, list) and not _holds_arrays(part):
        return _as_array(part, name)
    found = keras.tree.map_structure(lambda leaf: _as_array(leaf, name), part)
    if name == "sample_weight" and keras.tree.is_nested(found):
        raise TypeError(
            "Argument `sample_weight` must be one array. "
            f"Received: sample_weight of type {type(part).__name__}"
        )
    return keras.tree.lists_to_tuples(found)


def _holds_arrays(part: list[Any]) -> bool:
    return any(hasattr(leaf, "shape") for leaf in keras.tree.flatten(part))


def _as_array(leaf: Any, name: str) -> np.ndarray:
    if isinstance(leaf, np.ndarray):
        array = leaf
    elif keras.ops.is_tensor(leaf):
        array = np.asarray(keras.ops.convert_to_numpy(leaf))
    elif isinstance(leaf, list) or hasattr(leaf, "__array__"):
        array = np.asarray(leaf)
    else:
        raise TypeError(
            f"Argument `{name}` must be an array, a nested structure of "
            "arrays, a tf.data.Dataset of known size, a "
            "keras.utils.PyDataset, or a torch Dataset or DataLoader with "
            "`__getitem__`. Data that cannot be indexed must be read into "
            f"arrays first. Received: {name} of type {type(leaf).__name__}"
        )
    if array.ndim == 0:
        raise ValueError(
            f"Argument `{name}` must have a first axis of samples. "
            f"Received: {name} of shape ()"
        )
    return array


def _one_length(arrays: dict[str, Any]) -> int:
    lengths = {
        name: sorted({len(leaf) for leaf in keras.tree.flatten(part)})
        for name, part in arrays.items()
        if part is not None
    }
    first = lengths["x"][0] if lengths["x"] else 0
    for name, found in lengths.items():
        if found != [first]:
            raise ValueError(
                f"Argument `{name}` must hold arrays of one length, that of "
                "`x`. Received: "
                + ", ".join(f"len({n})={v}" for n, v in lengths.items())
            )
    if not first:
        raise ValueError(
            "Argument `x` must hold at least one sample. Received: len(x)=0"
        )
    return first
