"""Random access to samples: the interface, and arrays in memory."""

from typing import Any, Protocol

import keras
import numpy as np

Samples = tuple[Any, Any, np.ndarray | None]


class SampleSource(Protocol):
    """Base class of the access to training data.

    `unit` is "sample", or "batch" if only whole batches can be fetched. `y`
    and `sample_weight` hold those of all samples if they are known without
    reading the data, else `None`. `buffer_size` is the size of the shuffle
    buffer of data that can only be read in order, else `None`.
    """

    unit: str = "sample"
    buffer_size: int | None = None
    samples: int
    y: Any = None
    sample_weight: Any = None

    def fetch(self, ids: np.ndarray) -> Samples:
        """Returns the samples with these ids, in this order."""
        ...


class ArraySource(SampleSource):
    """Arrays, tensors, and nested structures of them, all in memory.

    Example:

    >>> import numpy as np
    >>> source = ArraySource({"a": np.arange(4.0)}, np.arange(4))
    >>> source.fetch(np.array([2, 0]))
    ({'a': array([2., 0.], dtype=float32)}, array([2, 0]), None)

    Raises:
        TypeError: If the data cannot be indexed.
        ValueError: If the lengths differ, there are no samples, or a weight
            is negative or not finite.
    """

    def __init__(self, x: Any, y: Any = None, sample_weight: Any = None):
        if x is None:
            raise TypeError(_expectation("x", None))
        parts = {"x": x, "y": y, "sample_weight": sample_weight}
        arrays = {name: _as_arrays(part, name) for name, part in parts.items()}
        self.samples = _common_length(arrays)
        self.x, self.y = arrays["x"], arrays["y"]
        self.sample_weight = arrays["sample_weight"]
        check_weights(self.sample_weight)

    def fetch(self, ids: np.ndarray) -> Samples:
        """Returns the samples with these ids, in this order."""

        def take_rows(array: np.ndarray | None) -> np.ndarray | None:
            # Faster than `array[ids]`.
            return None if array is None else to_floatx(array.take(ids, 0))

        weight = self.sample_weight
        x, y = keras.tree.map_structure(take_rows, (self.x, self.y))
        return x, y, None if weight is None else weight[ids]


def check_weights(weight: Any) -> None:
    """Raises ValueError if a sample weight is negative or not finite."""
    if weight is None:
        return
    wrong = ~(np.isfinite(weight) & (weight >= 0))
    if wrong.any():
        raise ValueError(
            "Argument `sample_weight` must be finite and at least 0. "
            f"Received: sample_weight with {weight[wrong][0]} at "
            f"{np.argwhere(wrong)[0].tolist()}"
        )


def to_floatx(array: np.ndarray) -> np.ndarray:
    """Casts float64 data to `keras.config.floatx()`, as `fit` does."""
    if array.dtype == "float64":
        return array.astype(keras.config.floatx())
    return array


def _as_arrays(part: Any, name: str) -> Any:
    if part is None:
        return None
    if isinstance(part, list) and not any(
        hasattr(leaf, "shape") for leaf in keras.tree.flatten(part)
    ):
        return _as_array(part, name)
    found = keras.tree.map_structure(lambda leaf: _as_array(leaf, name), part)
    if name == "sample_weight" and keras.tree.is_nested(found):
        raise TypeError(
            "Argument `sample_weight` must be one array. "
            f"Received: sample_weight of type {type(part).__name__}"
        )
    return keras.tree.lists_to_tuples(found)


def _as_array(leaf: Any, name: str) -> np.ndarray:
    if isinstance(leaf, np.ndarray):
        array = leaf
    elif keras.ops.is_tensor(leaf):
        array = np.asarray(keras.ops.convert_to_numpy(leaf))
    elif isinstance(leaf, list) or hasattr(leaf, "__array__"):
        try:
            array = np.asarray(leaf)
        except ValueError as error:
            raise ValueError(
                f"Argument `{name}` must hold samples of one shape: {error}. "
                f"Received: {name}={leaf!r}"
            ) from error
    else:
        raise TypeError(_expectation(name, leaf))
    if array.ndim == 0:
        raise ValueError(
            f"Argument `{name}` must have a first axis of samples. "
            f"Received: {name} of shape ()"
        )
    return array


def _expectation(name: str, part: Any) -> str:
    return (
        f"Argument `{name}` must be an array, a nested structure of "
        "arrays, a tf.data.Dataset of known size, a "
        "keras.utils.PyDataset, or a torch Dataset or DataLoader with "
        "`__getitem__`. Read data without random access into arrays "
        f"first. Received: {name} of type {type(part).__name__}"
    )


def _common_length(arrays: dict[str, Any]) -> int:
    lengths = {
        name: sorted({len(leaf) for leaf in keras.tree.flatten(part)})
        for name, part in arrays.items()
        if part is not None
    }
    first = lengths["x"][0] if lengths["x"] else 0
    for name, found in lengths.items():
        if found != [first]:
            raise ValueError(
                f"Argument `{name}` must hold arrays of the same length as "
                "`x`. Received: "
                + ", ".join(f"len({n})={v}" for n, v in lengths.items())
            )
    if not first:
        raise ValueError(
            "Argument `x` must hold at least one sample. Received: len(x)=0"
        )
    return first
