"""Training data in two halves, for weights and architecture."""

import functools
import numbers
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_netopt.checks import check_integer, check_number
from keras_netopt.training.bilevel_optimizer import CYCLES, TRAIN, VALIDATION
from keras_netopt.training.data_adapter import GatheredBatches, PlannedAdapter

_SUBSETS = {TRAIN: 1, VALIDATION: 2}  # Numbers of their random streams.


class BilevelData(PlannedAdapter):
    """Serves batches of two disjoint halves in the order of a cycle.

    `search.dataset` creates it. The kind of a batch depends on its place in
    the epoch only, an epoch holds whole cycles, and the samples of a batch
    depend on `seed` and the epoch.

    Args:
        samples: Arrays `(x, y, sample_weight)` in any structure, weights may
            be `None`.
        batch_size: Samples per batch.
        halves: The sample ids of the training and the validation half.
        order: 1 or 2, the order of the architecture's gradient.
        seed: Seed of the order of the samples.
    """

    def __init__(
        self,
        samples: tuple[Any, Any, Any],
        batch_size: int,
        halves: tuple[np.ndarray, np.ndarray],
        *,
        order: int = 1,
        seed: int = 0,
    ) -> None:
        self.samples = samples
        self.size = batch_size
        self.halves = dict(zip((TRAIN, VALIDATION), halves, strict=True))
        self.order = order
        self.seed = seed
        self.epoch: int | None = None  # Set by `ArchitectureSearch`.
        self.trains_only = False
        self._passes = 0
        self._cycles = len(halves[0]) // batch_size
        super().__init__(
            self._rows,
            self._signature,
            steps=self._cycles * len(CYCLES[order]),
            gathered=self._gathered(),
        )

    def __repr__(self) -> str:
        sizes = [len(ids) for ids in self.halves.values()]
        return (
            f"<BilevelData: {sizes[0]} training and {sizes[1]} validation "
            f"samples, batches of {self.size}, order {self.order}>"
        )

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of the batches of a cycle, "train" or "validation"."""
        cycle = CYCLES[self.order]
        return (TRAIN,) * len(cycle) if self.trains_only else cycle

    def half(self, kind: str) -> tuple[Any, Any, Any]:
        """Returns inputs, targets and sample weights, or `None`, of a half."""
        x, y, weight = (_select(one, self.halves[kind]) for one in self.samples)
        return x, y, weight

    def release(self) -> None:
        """Serves both halves again, in the order of its own passes."""
        self.trains_only, self.epoch = False, None

    def batch_ids(self, epoch: int) -> list[np.ndarray]:
        """Returns the sample ids of each batch of an epoch."""
        kinds = self.kinds
        each = kinds.count(TRAIN) if self.trains_only else 1
        drawn = {
            kind: iter(self._draw(kind, epoch, self._cycles * each))
            for kind in dict.fromkeys(kinds)
        }
        found = []
        for _ in range(self._cycles):
            batch: dict[str, np.ndarray] = {}
            for kind in kinds:
                # Of second order, a cycle repeats its training batch.
                if kind not in batch or self.trains_only:
                    batch[kind] = next(drawn[kind])
                found.append(batch[kind])
        return found

    def _draw(self, kind: str, epoch: int, batches: int) -> np.ndarray:
        """Draws without replacement, in several passes if necessary."""
        ids, needed = self.halves[kind], batches * self.size
        rng = np.random.default_rng((self.seed, _SUBSETS[kind], epoch))
        passes = -(-needed // len(ids))
        order = np.concatenate([rng.permutation(ids) for _ in range(passes)])
        return order[:needed].reshape(batches, self.size)

    def _next_ids(self) -> list[np.ndarray]:
        epoch = self._passes if self.epoch is None else self.epoch
        self._passes += 1
        return self.batch_ids(epoch)

    def _rows(self) -> list[Callable[[], Any]]:
        return [functools.partial(self._read, ids) for ids in self._next_ids()]

    def _read(self, ids: np.ndarray) -> Any:
        x, y, weight = (_select(part, ids) for part in self.samples)
        return keras.utils.pack_x_y_sample_weight(x, y, weight)

    def _signature(self) -> Any:
        batch = self._read(self.halves[TRAIN][: self.size])
        return keras.tree.map_structure(
            lambda a: keras.InputSpec(
                shape=a.shape,
                dtype="string" if a.dtype.kind in "USO" else str(a.dtype),
            ),
            batch,
        )

    def _gathered(self) -> GatheredBatches | None:
        x, y, weight = self.samples
        leaves = keras.tree.flatten((x, y))
        if keras.backend.backend() != "tensorflow" or any(
            leaf is None or leaf.dtype.kind not in "iufb" for leaf in leaves
        ):
            return None
        if weight is not None and weight.ndim > 1:
            return None

        def table() -> tuple[np.ndarray, ...]:
            ids = np.stack(self._next_ids()).astype("int64")
            if weight is None:
                return (ids,)
            return ids, weight[ids].astype("float32")

        has_weights = weight is not None
        return GatheredBatches((x, y), table, has_weights, is_whole=True)


def dataset(
    x: Any,
    y: Any,
    batch_size: int = 32,
    *,
    validation_split: float = 0.5,
    order: int = 1,
    sample_weight: Any = None,
    seed: int = 0,
) -> BilevelData:
    """Splits training data for `callbacks.ArchitectureSearch`.

    Weights train on one part, the architecture on the other. Pass the result
    to `fit` as `x`; batches come in the order that the callback expects,
    whatever `shuffle` is. Samples that fill no whole batch are left out,
    others in each epoch. Targets that are classes, as integers or one-hot
    rows, are split by class.

    Example:

    >>> import numpy as np
    >>> from keras_netopt import search
    >>> x, y = np.arange(12.0).reshape(12, 1), np.arange(12) % 2
    >>> data = search.dataset(x, y, batch_size=3)
    >>> data
    <BilevelData: 6 training and 6 validation samples, batches of 3, order 1>
    >>> data.num_batches, data.kinds
    (4, ('validation', 'train'))

    Args:
        x: Inputs: an array `(samples, ...)`, or a list or dictionary of
            arrays.
        y: Targets `(samples, ...)`, in any structure.
        batch_size: Samples per batch, at most those of each part. Defaults
            to `32`.
        validation_split: Share of the samples on which the architecture is
            trained or ranked, in (0, 1). Defaults to `0.5`.
        order: Order of the gradient of `method="darts"`, 1 or 2: a cycle has
            2 or 5 batches. Defaults to `1`.
        sample_weight: Weight of each sample, `(samples,)`. Defaults to
            `None`.
        seed: Seed of the split and of the order of the samples, an int of at
            least 0. Defaults to `0`.

    Returns:
        The data set for `fit`. An epoch has `num_batches` steps.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or the arrays have
            different lengths.
    """
    check_integer(batch_size, "batch_size", minimum=1)
    check_integer(seed, "seed")
    check_order(order)
    share = check_number(validation_split, "validation_split")
    if not 0.0 < share < 1.0:
        raise ValueError(
            "Argument `validation_split` must be a float in (0, 1). "
            f"Received: validation_split={validation_split!r}"
        )
    samples = keras.tree.map_structure(_to_array, (x, y, sample_weight))
    lengths = {len(a) for a in keras.tree.flatten(samples) if a is not None}
    if len(lengths) != 1:
        raise ValueError(
            "Arguments `x`, `y` and `sample_weight` must hold arrays of one "
            f"length. Received: lengths {sorted(lengths)}"
        )
    halves = split_samples(lengths.pop(), samples[1], share, seed)
    if batch_size > min(map(len, halves)):
        raise ValueError(
            "Argument `batch_size` must be at most the samples of each part, "
            f"{len(halves[0])} for training and {len(halves[1])} for "
            f"validation. Received: batch_size={batch_size}"
        )
    return BilevelData(
        samples, int(batch_size), halves, order=order, seed=int(seed)
    )


def check_order(order: Any) -> None:
    """Refuses an order of the gradient that is neither 1 nor 2."""
    is_integer = isinstance(order, numbers.Integral) and not isinstance(
        order, bool
    )
    if not is_integer or order not in CYCLES:
        raise ValueError(
            f"Argument `order` must be 1 or 2. Received: order={order!r}"
        )


def split_samples(
    samples: int, y: Any, share: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Splits sample ids; each class has its share in both, up to one sample.

    Example:

    >>> import numpy as np
    >>> train, held_out = split_samples(8, np.arange(8) % 2, 0.25, 0)
    >>> len(train), sorted(map(int, held_out % 2))
    (6, [0, 1])
    """
    order = np.random.default_rng(seed).permutation(samples)
    labels = _class_labels(y)
    if labels is not None:
        order = order[np.argsort(labels[order], kind="stable")]
    reached = np.floor(np.arange(samples + 1) * share + 1e-9)
    held_out = np.diff(reached) > 0
    return np.sort(order[~held_out]), np.sort(order[held_out])


def _class_labels(y: Any) -> np.ndarray | None:
    """Returns one class per sample, or `None` for other targets."""
    if not isinstance(y, np.ndarray) or y.ndim > 2:
        return None
    if y.ndim == 2 and y.shape[1] > 1:
        is_one_hot = np.isin(y, (0, 1)).all() and (y.sum(axis=1) == 1).all()
        return y.argmax(axis=1) if is_one_hot else None
    return y.reshape(-1) if y.dtype.kind in "iubUS" else None


def _to_array(value: Any) -> Any:
    if value is None:
        return None
    if keras.ops.is_tensor(value):
        value = keras.ops.convert_to_numpy(value)
    array = np.asarray(value)
    is_float = array.dtype.kind == "f"
    return array.astype(keras.config.floatx()) if is_float else array


def _select(part: Any, ids: np.ndarray) -> Any:
    return keras.tree.map_structure(
        lambda array: None if array is None else array[ids], part
    )
