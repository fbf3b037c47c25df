"""Samples by number out of data sets of TensorFlow, Keras and torch."""

import itertools
from typing import Any

import keras
import numpy as np

from keras_netopt.checks import check_integer
from keras_netopt.curriculum.sources import (
    ArraySource,
    Fetched,
    Source,
    check_weights,
    standard,
)

_LOOKED_AT = 8  # Samples read twice to see whether the order is fixed.
_UNKNOWN, _INFINITE = -2, -1  # tf.data's cardinality.


def as_source(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    num_samples: int | None = None,
) -> Source:
    """Returns a source for whatever `fit` could train on.

    Args:
        x: Arrays, a `tf.data.Dataset` of single samples, a `Stream`, a
            `keras.utils.PyDataset`, a torch `Dataset` or `DataLoader`.
        y: Targets for arrays, `None` for data sets that hold their own.
        sample_weight: Weights for arrays, likewise.
        num_samples: How many samples of a `tf.data.Dataset` to take. Defaults
            to `None`: all.

    Raises:
        TypeError: If the data cannot be indexed.
        ValueError: If targets or weights are given twice, or the size is not
            known.
    """
    kind = _kind(x)
    if num_samples is not None:
        check_integer(num_samples, "num_samples", minimum=1)
        if kind != "tf.data.Dataset":
            raise ValueError(
                "Argument `num_samples` is for a tf.data.Dataset of unknown "
                f"size alone. Received: num_samples={num_samples}, x of type "
                f"{type(x).__name__}"
            )
    if kind is None:
        return ArraySource(x, y, sample_weight)
    for name, given in (("y", y), ("sample_weight", sample_weight)):
        if given is not None:
            raise ValueError(
                f"Argument `{name}` must not be given beside a {kind}, which "
                f"holds its own. Received: {name} of type "
                f"{type(given).__name__}"
            )
    if kind == "tf.data.Dataset":
        return _from_tf(x, num_samples)
    if kind == "Stream":
        stream: Source = x
        return stream
    return BatchSource(x) if kind == "PyDataset" else TorchSource(x)


class BatchSource:
    """A `keras.utils.PyDataset`: its batches are the units.

    Args:
        data: The data set; its `len()` must be known.
    """

    unit = "batch"
    buffer: int | None = None
    y: Any = None
    sample_weight: Any = None

    def __init__(self, data: keras.utils.PyDataset):
        self.data = data
        length = data.num_batches
        if length is None:
            raise ValueError(
                "Argument `x` must be a PyDataset of known length: give it "
                f"`__len__`. Received: x={type(data).__name__}"
            )
        self.samples = int(length)

    def fetch(self, ids: np.ndarray) -> Fetched:
        """Returns one batch, whole."""
        (number,) = ids.tolist()
        return unpacked(self.data[number])


class TorchSource:
    """A torch data set with `__getitem__`, sample by sample.

    Args:
        data: A map-style `Dataset`, or a `DataLoader` over one, of which the
            `collate_fn` is used and the sampler is not.
    """

    unit = "sample"
    buffer: int | None = None
    y: Any = None
    sample_weight: Any = None

    def __init__(self, data: Any):
        import torch.utils.data as torch_data

        self.collate = torch_data.default_collate
        if isinstance(data, torch_data.DataLoader):
            if data.batch_sampler is not None:
                self.collate = data.collate_fn
            data = data.dataset
        if isinstance(data, torch_data.IterableDataset) or not (
            hasattr(data, "__getitem__") and hasattr(data, "__len__")
        ):
            raise TypeError(
                "Argument `x` must be a torch Dataset with `__getitem__` and "
                "`__len__`, for the curriculum asks for samples by number. "
                f"Received: x={type(data).__name__}"
            )
        self.data = data
        self.samples = len(data)
        if not self.samples:
            raise ValueError(
                "Argument `x` must hold at least one sample. Received: len(x)=0"
            )

    def fetch(self, ids: np.ndarray) -> Fetched:
        """Returns some samples, in this order."""
        return unpacked(self.collate([self.data[i] for i in ids.tolist()]))


def _kind(x: Any) -> str | None:
    if isinstance(x, keras.utils.PyDataset):
        return "PyDataset"
    if hasattr(x, "serve"):
        return "Stream"
    modules = [(c.__module__, c.__name__) for c in type(x).__mro__]
    if any(
        module.startswith("tensorflow.") and name == "DatasetV2"
        for module, name in modules
    ):
        return "tf.data.Dataset"
    if any(
        module.startswith("torch.utils.data")
        and name in ("Dataset", "DataLoader")
        for module, name in modules
    ):
        return "torch data set"
    return None


def _from_tf(data: Any, num_samples: int | None) -> ArraySource:
    """Reads a `tf.data.Dataset` of single samples into memory."""
    known_size(data, num_samples)
    check_single(data)
    if num_samples is not None:
        data = data.take(num_samples)
    check_fixed(data)
    items = list(data.as_numpy_iterator())
    if num_samples is not None and len(items) < num_samples:
        raise ValueError(
            f"Argument `num_samples` must be at most the {len(items)} samples "
            f"of the tf.data.Dataset. Received: num_samples={num_samples}"
        )
    parts = [unpacked(item) for item in items]
    stacked = keras.tree.map_structure(
        lambda *leaves: None if leaves[0] is None else np.stack(leaves), *parts
    )
    return ArraySource(*stacked)


def known_size(data: Any, num_samples: int | None) -> int:
    """Returns how many samples of a `tf.data.Dataset` are meant.

    Args:
        data: The data set.
        num_samples: What the user says, or `None`.

    Raises:
        ValueError: If nobody knows, or there are none.
    """
    size = int(data.cardinality())
    if num_samples is None and size in (_UNKNOWN, _INFINITE):
        word = "unknown" if size == _UNKNOWN else "infinite"
        raise ValueError(
            "Argument `x` must be a tf.data.Dataset of known size, for "
            "difficulty is ranked over all samples: pass `num_samples=`. "
            f"Received: x with {word} cardinality"
        )
    if size == 0:
        raise ValueError(
            "Argument `x` must hold at least one sample. Received: x without "
            "elements"
        )
    if num_samples is not None and 0 < size < num_samples:
        raise ValueError(
            f"Argument `num_samples` must be at most the {size} samples of "
            f"the tf.data.Dataset. Received: num_samples={num_samples}"
        )
    return size if num_samples is None else num_samples


def check_single(data: Any) -> None:
    """Refuses a `tf.data.Dataset` of batches.

    Args:
        data: The data set.

    Raises:
        ValueError: If every element has an open first axis.
    """
    shapes = [spec.shape for spec in keras.tree.flatten(data.element_spec)]
    if all(shape.rank and shape[0] is None for shape in shapes):
        raise ValueError(
            "Argument `x` must hold single samples: pass `x.unbatch()`. "
            f"Received: x={data.element_spec!r}"
        )


def check_fixed(data: Any) -> None:
    """Refuses a data set that gives other samples when it is read again.

    Args:
        data: The data set.

    Raises:
        ValueError: If its first samples differ from one pass to the next.
    """
    first, second = (
        [
            keras.tree.flatten(item)
            for item in itertools.islice(data.as_numpy_iterator(), _LOOKED_AT)
        ]
        for _ in range(2)
    )
    same = len(first) == len(second) and all(
        np.array_equal(a, b)
        for mine, other in zip(first, second, strict=True)
        for a, b in zip(mine, other, strict=True)
    )
    if not same:
        raise ValueError(
            "Argument `x` must be a tf.data.Dataset that gives the same "
            "samples each time: leave out `shuffle` and augmentation, the "
            "curriculum shuffles by itself and layers can augment. "
            "Received: x that differs when it is read twice"
        )


def unpacked(item: Any) -> Fetched:
    """Returns `(x, y, sample_weight)` of what a data set gives, as arrays.

    Args:
        item: `x`, `(x, y)` or `(x, y, sample_weight)`.
    """
    if isinstance(item, list):
        item = tuple(item)
    x, y, weight = keras.utils.unpack_x_y_sample_weight(item)
    x, y, weight = keras.tree.lists_to_tuples(
        keras.tree.map_structure(_plain, (x, y, weight))
    )
    check_weights(weight)
    return x, y, weight


def _plain(leaf: Any) -> Any:
    if leaf is None:
        return None
    if hasattr(leaf, "detach"):  # A torch tensor, under any backend.
        leaf = leaf.detach().cpu().numpy()
    elif keras.ops.is_tensor(leaf):
        leaf = keras.ops.convert_to_numpy(leaf)
    return standard(np.asarray(leaf))
