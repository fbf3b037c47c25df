"""Random access to data sets of TensorFlow, Keras and torch."""

import itertools
from typing import Any

import keras
import numpy as np

from keras_netopt.checks import check_integer
from keras_netopt.curriculum.sample_source import (
    ArraySource,
    Samples,
    SampleSource,
    check_weights,
    to_floatx,
)

_COMPARED = 8  # Samples that are read twice to check the order.
_UNKNOWN, _INFINITE = -2, -1  # tf.data's cardinality.


def as_sample_source(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    num_samples: int | None = None,
) -> SampleSource:
    """Returns random access to the data given to `callbacks.Curriculum`.

    Raises:
        TypeError: If the data cannot be indexed.
        ValueError: If targets or weights are given beside a data set, or the
            size is unknown.
    """
    kind = _kind(x)
    if num_samples is not None:
        check_integer(num_samples, "num_samples", minimum=1)
        if kind != "tf.data.Dataset":
            raise ValueError(
                "Argument `num_samples` must be given with a tf.data.Dataset "
                f"only. Received: num_samples={num_samples}, x of type "
                f"{type(x).__name__}"
            )
    if kind is None:
        return ArraySource(x, y, sample_weight)
    for name, given in (("y", y), ("sample_weight", sample_weight)):
        if given is not None:
            raise ValueError(
                f"Argument `{name}` must not be given with a {kind}, which "
                f"holds its own. Received: {name} of type "
                f"{type(given).__name__}"
            )
    if kind == "tf.data.Dataset":
        return _from_tf(x, num_samples)
    if kind == "StreamingDataset":
        stream: SampleSource = x
        return stream
    return PyDatasetSource(x) if kind == "PyDataset" else TorchSource(x)


class PyDatasetSource(SampleSource):
    """Access to the batches of a `keras.utils.PyDataset`."""

    unit = "batch"

    def __init__(self, data: keras.utils.PyDataset):
        self.data = data
        length = data.num_batches
        if length is None:
            raise ValueError(
                "Argument `x` must be a PyDataset of known length: give it "
                f"`__len__`. Received: x={type(data).__name__}"
            )
        self.samples = int(length)

    def fetch(self, ids: np.ndarray) -> Samples:
        """Returns one whole batch."""
        (number,) = ids.tolist()
        return unpack_arrays(self.data[number])


class TorchSource(SampleSource):
    """Access to the samples of a map-style torch data set.

    The data are a `Dataset`, or a `DataLoader` of one; its `collate_fn` is
    used, its sampler is not.
    """

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
                "`__len__`: the curriculum fetches samples by index. "
                f"Received: x={type(data).__name__}"
            )
        self.data = data
        self.samples = len(data)
        if not self.samples:
            raise ValueError(
                "Argument `x` must hold at least one sample. Received: len(x)=0"
            )

    def fetch(self, ids: np.ndarray) -> Samples:
        """Returns the samples with these ids, in this order."""
        return unpack_arrays(self.collate([self.data[i] for i in ids.tolist()]))


def _kind(x: Any) -> str | None:
    if isinstance(x, keras.utils.PyDataset):
        return "PyDataset"
    if hasattr(x, "iter_batches"):
        return "StreamingDataset"
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
    count = check_tf_dataset(data, num_samples)
    items = list(data.take(count).as_numpy_iterator())
    check_num_samples(count, len(items))
    return ArraySource(*stack_samples([unpack_arrays(item) for item in items]))


def stack_samples(items: list[Samples]) -> Samples:
    """Joins single samples along a new first axis."""
    stacked: Samples = keras.tree.map_structure(
        lambda *leaves: None if leaves[0] is None else np.stack(leaves), *items
    )
    return stacked


def check_tf_dataset(data: Any, num_samples: int | None) -> int:
    """Checks a `tf.data.Dataset` and returns the number of samples to use.

    Raises:
        ValueError: If the size is unknown or too small, the samples are
            batched, or the first ones differ between two passes.
    """
    size = int(data.cardinality())
    if num_samples is None and size in (_UNKNOWN, _INFINITE):
        word = "unknown" if size == _UNKNOWN else "infinite"
        raise ValueError(
            "Argument `x` must be a tf.data.Dataset of known size, "
            "because difficulty is ranked over all samples: pass "
            "`num_samples=`. "
            f"Received: x with {word} cardinality"
        )
    if size == 0:
        raise ValueError(
            "Argument `x` must hold at least one sample. Received: an empty x"
        )
    count = size if num_samples is None else num_samples
    if size > 0:
        check_num_samples(count, size)
    _check_unbatched(data)
    _check_deterministic(data.take(count))
    return count


def check_num_samples(num_samples: int, found: int) -> None:
    """Raises ValueError if a `tf.data.Dataset` has fewer samples."""
    if found < num_samples:
        raise ValueError(
            f"Argument `num_samples` must be at most the {found} samples of "
            f"the tf.data.Dataset. Received: num_samples={num_samples}"
        )


def _check_unbatched(data: Any) -> None:
    shapes = [spec.shape for spec in keras.tree.flatten(data.element_spec)]
    if all(shape.rank and shape[0] is None for shape in shapes):
        raise ValueError(
            "Argument `x` must hold single samples: pass `x.unbatch()`. "
            f"Received: x={data.element_spec!r}"
        )


def _check_deterministic(data: Any) -> None:
    first, second = (
        [
            keras.tree.flatten(item)
            for item in itertools.islice(data.as_numpy_iterator(), _COMPARED)
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
            "Argument `x` must be a tf.data.Dataset that yields the same "
            "samples in every pass: remove `shuffle` and random augmentation; "
            "the curriculum shuffles, and preprocessing layers can augment. "
            "Received: x that differs between two passes"
        )


def unpack_arrays(item: Any) -> Samples:
    """Converts an element of a data set to `(x, y, sample_weight)` arrays."""
    if isinstance(item, list):
        item = tuple(item)
    x, y, weight = keras.utils.unpack_x_y_sample_weight(item)
    x, y, weight = keras.tree.lists_to_tuples(
        keras.tree.map_structure(_to_array, (x, y, weight))
    )
    check_weights(weight)
    return x, y, weight


def _to_array(leaf: Any) -> Any:
    if leaf is None:
        return None
    if hasattr(leaf, "detach"):  # A torch tensor, under any backend.
        leaf = leaf.detach().cpu().numpy()
    elif keras.ops.is_tensor(leaf):
        leaf = keras.ops.convert_to_numpy(leaf)
    return to_floatx(np.asarray(leaf))
