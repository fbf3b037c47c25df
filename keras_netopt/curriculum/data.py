"""The data set that serves what the plan says."""

import functools
import weakref
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from keras_netopt.checks import check_integer
from keras_netopt.curriculum.labels import class_values
from keras_netopt.curriculum.plan import EpochPlan
from keras_netopt.curriculum.sequence_length import SequenceLengthWarmup
from keras_netopt.curriculum.sources import (
    ArraySource,
    Fetched,
    Source,
    standard,
)
from keras_netopt.curriculum.weighting import loss_axes, spread
from keras_netopt.training.data_adapter import Gathering, PlannedAdapter


class CurriculumData:
    """Data, the plan of the running epoch, and the batches it makes.

    One object is shared by a callback, its copies and the data set that `fit`
    reads, so that a tuner's copy of the callback plans for the data given to
    `search`. Before the first plan, and for `evaluate`, the samples come in
    their natural order with weight 1.

    Args:
        source: Samples by number.
        length: Shortens sequences, or `None`.
    """

    def __init__(
        self, source: Source, length: SequenceLengthWarmup | None = None
    ) -> None:
        self.source = source
        self.length = length
        self.plan: EpochPlan | None = None
        self.served = 0
        self.batch_size: int | None = None
        self.steps: int | None = None
        self.adapter: PlannedAdapter | None = None
        self.replaced: weakref.WeakSet[PlannedAdapter] = weakref.WeakSet()
        self.sampler: Any = None
        self.axes = 1  # Of the weights that are served.
        self.scores: np.ndarray | None = None  # Of no model in training.

    def __deepcopy__(self, memo: dict[int, Any]) -> "CurriculumData":
        return self

    def open(
        self,
        batch_size: int = 32,
        *,
        steps_per_epoch: int | None = None,
        class_weight: Mapping[int, float] | None = None,
        token_weights: bool | None = None,
        table: Any = None,
        workers: int = 1,
    ) -> PlannedAdapter:
        """Makes the data set for `fit`; the newest one is the one planned.

        Args:
            batch_size: Samples of a batch, at most all. Defaults to `32`.
            steps_per_epoch: Batches of each epoch. Defaults to `None`: all
                samples fill so many batches.
            class_weight: Weight of each class. Defaults to `None`.
            token_weights: Whether the loss has a value for each token.
                Defaults to `None`: as the targets look.
            table: A number for each sample that travels beside the weight.
                Defaults to `None`.
            workers: Threads that read ahead. Defaults to `1`.

        Returns:
            What `fit` takes as `x`.

        Raises:
            TypeError: If an argument has the wrong type.
            ValueError: If a value is out of range.
        """
        self.configure(batch_size, steps_per_epoch)
        self._check_workers(workers)
        self.axes = loss_axes(self._targets(), token_weights)
        reader = _PlanReader(
            self,
            class_factors(self.source.y, class_weight),
            self.axes,
            _checked_table(table, self.source.samples),
        )
        if self.adapter is not None:
            self.replaced.add(self.adapter)
        self.sampler = None
        self.adapter = PlannedAdapter(
            reader.rows,
            reader.signature,
            steps=int(self.steps or 0),
            workers=workers,
            gathering=reader.gathering(),
        )
        return self.adapter

    def configure(self, batch_size: int, steps_per_epoch: int | None) -> None:
        """Fixes how large a batch and how long an epoch is."""
        samples = self.source.samples
        if self.source.unit == "batch" and batch_size != 1:
            raise ValueError(
                "Argument `batch_size` must be left out for a PyDataset: its "
                "batches are taken whole, one a step, and only put in "
                f"another order. Received: batch_size={batch_size!r}"
            )
        check_integer(batch_size, "batch_size", minimum=1)
        if batch_size > samples:
            raise ValueError(
                f"Argument `batch_size` must be at most the {samples} samples "
                f"that there are. Received: batch_size={batch_size}"
            )
        if steps_per_epoch is not None:
            check_integer(steps_per_epoch, "steps_per_epoch", minimum=1)
        self.batch_size = int(batch_size)
        self.steps = int(steps_per_epoch or samples // batch_size)
        self.plan = None

    def begin(self, plan: EpochPlan | None) -> None:
        """Puts the plan of an epoch in force, or ends it with `None`."""
        self.plan = plan
        self.served = 0

    def _check_workers(self, workers: int) -> None:
        check_integer(workers, "workers")
        if workers > 1 and self.source.buffer is not None:
            raise ValueError(
                "Argument `workers` must be 0 or 1 for a `Stream`, which is "
                "read in order: let tf.data work in parallel. "
                f"Received: workers={workers}"
            )

    def _targets(self) -> Any:
        if self.source.y is not None:
            return self.source.y
        return self.source.fetch(self.plan_ids()[0])[1]

    def feeds(self, x: Any) -> bool:
        """Says whether `fit` trains on this data set.

        Args:
            x: What `fit` was given, or `None` where nobody knows.

        Raises:
            ValueError: If it is a data set that a newer one has replaced.
        """
        if isinstance(x, PlannedAdapter):
            if x is not self.adapter and x in self.replaced:
                raise ValueError(
                    "Argument `x` of `fit` must be the data set that "
                    "`dataset()` returned last, for that one is planned. "
                    "Received: x=an older one"
                )
            return x is self.adapter
        sampler = getattr(x, "batch_sampler", None)
        return sampler is not None and sampler is self.sampler

    def plan_ids(self) -> np.ndarray:
        """Returns the ids of each batch, in natural order without a plan."""
        if self.plan is not None:
            return self.plan.ids
        size = int(self.batch_size or 1)
        wanted = int(self.steps or 0) * size
        return (np.arange(wanted) % self.source.samples).reshape(-1, size)


class _PlanReader:
    """Reads the batches of one data set: pure, so any thread may call it."""

    def __init__(
        self,
        data: CurriculumData,
        factors: np.ndarray | None,
        axes: int,
        table: np.ndarray | None,
    ) -> None:
        self.data = data
        self.factors = factors
        self.axes = axes
        self.table = table

    def rows(self) -> list[Callable[[], Any]]:
        """Returns the functions that read the batches of the epoch."""
        plan, source = self.data.plan, self.data.source
        fetch: Callable[[np.ndarray], Fetched] = source.fetch
        if plan is not None and plan.places is not None:
            batches = source.serve(plan.places)  # type: ignore[attr-defined]
            fetch = lambda ids: next(batches)  # noqa: E731
        return [
            functools.partial(self.read, plan, ids, row, fetch)
            for row, ids in enumerate(self.data.plan_ids())
        ]

    def read(
        self,
        plan: EpochPlan | None,
        ids: np.ndarray,
        row: int,
        fetch: Callable[[np.ndarray], Fetched],
    ) -> Any:
        """Reads one batch."""
        data = self.data
        data.served += 1
        x, y, own = fetch(ids)
        size = _rows_of(x)
        weight: np.ndarray = np.ones(size, "float32")
        if plan is not None:
            weight = np.broadcast_to(plan.weights[row], size)
        if self.factors is not None:
            weight = weight * self.factors[ids]
        weight = spread(weight, own, y, self.axes)
        if plan is not None and plan.lengths is not None:
            x, y, weight = data.length.apply(  # type: ignore[union-attr]
                x, y, weight, int(plan.lengths[row])
            )
        if y is None:
            return (x,)
        # JAX and torch build a model with the ordinary loss before a plan is
        # there; TensorFlow wants one signature throughout.
        if self.table is not None and (plan is not None or _one_signature()):
            beside = self.table[ids].astype("float32")
            weight = np.stack([weight, beside], axis=-1)
        return x, y, weight.astype("float32")

    def gathering(self) -> Gathering | None:
        """Tells the passes as numbers, where TensorFlow can do with them."""
        source, length = self.data.source, self.data.length
        if (
            not _one_signature()
            or not isinstance(source, ArraySource)
            or length is not None
        ):
            return None
        leaves = keras.tree.flatten((source.x, source.y))
        own = source.sample_weight
        if (
            source.y is None
            or self.axes > 1
            or (own is not None and own.ndim > 1)
            or any(leaf.dtype.kind not in "iufb" for leaf in leaves)
        ):
            return None
        arrays = keras.tree.map_structure(standard, (source.x, source.y))
        shape = () if self.table is None else (2,)
        return Gathering(arrays, self.numbers, shape)

    def numbers(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the ids and the weights of all batches of the epoch."""
        data, ids = self.data, self.data.plan_ids()
        data.served += len(ids)
        weight: np.ndarray = np.ones(ids.shape, "float32")
        if data.plan is not None:
            weight = data.plan.weights
        own = data.source.sample_weight
        for each in (self.factors, own):
            weight = weight if each is None else weight * each[ids]
        if self.table is not None:
            weight = np.stack([weight, self.table[ids]], axis=-1)
        return ids, weight.astype("float32")

    def signature(self) -> Any:
        """States shapes and dtypes, open where batches may differ."""
        ids, source = self.data.plan_ids(), self.data.source
        # Of a stream the first two, lest all of it be read.
        ends = ids[[0, -1]] if source.buffer is None else ids[:2][[0, -1]]
        first, last = (self.read(None, i, 0, source.fetch) for i in ends)
        sequence = None if self.data.length is None else self.data.length.size
        return keras.tree.map_structure(
            functools.partial(_spec, sequence), first, last
        )


def class_factors(
    y: Any, class_weight: Mapping[int, float] | None
) -> np.ndarray | None:
    """Returns the factor of each sample for weights of classes.

    Example:

    >>> import numpy as np
    >>> class_factors(np.array([0, 1, 1, 2]), {1: 2.0})
    array([1., 2., 2., 1.], dtype=float32)

    Args:
        y: Targets that are classes.
        class_weight: Weight by class, as `fit` takes it; classes that are
            not in it count 1. `None` for no factors.

    Raises:
        ValueError: If the targets are no classes, or a weight is negative.
    """
    if class_weight is None:
        return None
    values = class_values(y)
    if values is None:
        raise ValueError(
            "Argument `class_weight` must come with targets that are classes: "
            "integers of shape (samples,) or one-hot rows. "
            f"Received: class_weight={class_weight!r}"
        )
    if any(not (np.isfinite(w) and w >= 0) for w in class_weight.values()):
        raise ValueError(
            "Argument `class_weight` must hold finite weights of at least 0. "
            f"Received: class_weight={class_weight!r}"
        )
    numbers, place = np.unique(values, return_inverse=True)
    factors = [class_weight.get(int(number), 1.0) for number in numbers]
    return np.array(factors, "float32")[place]


def _checked_table(table: Any, samples: int) -> np.ndarray | None:
    if table is None:
        return None
    array = np.asarray(table)
    if array.shape != (samples,) or not np.isfinite(array).all():
        raise ValueError(
            f"Argument `table` must hold one finite number for each of the "
            f"{samples} samples. Received: table of shape {array.shape}"
        )
    return array


def _one_signature() -> bool:
    return keras.backend.backend() == "tensorflow"


def _rows_of(x: Any) -> int:
    return len(keras.tree.flatten(x)[0])


def _spec(
    sequence: int | None, first: np.ndarray, last: np.ndarray
) -> keras.InputSpec:
    sizes = zip(first.shape[1:], last.shape[1:], strict=True)
    rest = [a if a == b else None for a, b in sizes]
    if sequence is not None and rest and rest[0] == sequence:
        rest[0] = None
    return keras.InputSpec(shape=(None, *rest), dtype=str(first.dtype))
