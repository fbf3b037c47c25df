"""The data set whose batches follow the epoch plan."""

import weakref
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_netopt.checks import check_integer
from keras_netopt.curriculum.batch_reader import BatchReader
from keras_netopt.curriculum.class_labels import class_values
from keras_netopt.curriculum.epoch_plan import EpochPlan
from keras_netopt.curriculum.loss_weights import count_loss_axes
from keras_netopt.curriculum.sample_source import SampleSource
from keras_netopt.curriculum.sequence_length import SequenceLengthWarmup
from keras_netopt.training.data_adapter import PlannedAdapter


class CurriculumData:
    """Training data, the current epoch plan, and the batches made from both.

    One object is shared by a callback, its copies and the data set given to
    `fit`, so that the copy of a callback made by a tuner plans for the data
    given to `search`. Before the first plan, and for `evaluate`, the samples
    have their natural order and weight 1.

    Args:
        source: Access to the samples.
        sequence_length: Sequence length warm-up, or `None`.
        plans_weights: Whether plans may have weights other than 1. Defaults
            to `True`.
    """

    def __init__(
        self,
        source: SampleSource,
        sequence_length: SequenceLengthWarmup | None = None,
        plans_weights: bool = True,
    ) -> None:
        self.source = source
        self.sequence_length = sequence_length
        self.plans_weights = plans_weights
        self.plan: EpochPlan | None = None
        self.batches_read = 0
        self.batch_size: int | None = None
        self.steps: int | None = None
        self.last_batch_size: int | None = None
        self.dropped = 0  # Samples that fill no whole batch.
        self.adapter: PlannedAdapter | None = None
        self.old_adapters: weakref.WeakSet[PlannedAdapter] = weakref.WeakSet()
        self.sampler: Any = None
        self.reader: BatchReader | None = None
        # Scores that do not depend on the model being trained.
        self.static_scores: np.ndarray | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> "CurriculumData":
        return self

    def make_adapter(
        self,
        batch_size: int | None = None,
        *,
        drop_remainder: bool = True,
        steps_per_epoch: int | None = None,
        class_weight: Mapping[int, float] | None = None,
        token_weights: bool | None = None,
        irreducible_loss: Any = None,
        workers: int = 1,
    ) -> PlannedAdapter:
        """Creates the data set for `fit`; plans apply to the newest one.

        The arguments are those of `callbacks.Curriculum.dataset`.
        """
        if batch_size is None:
            batch_size = 1 if self.source.unit == "batch" else 32
        self.configure(batch_size, steps_per_epoch, drop_remainder)
        self._check_workers(workers)
        axes = count_loss_axes(self._targets(), token_weights)
        samples = self.source.samples
        reader = self.reader = BatchReader(
            self,
            sample_class_weights(self.source.y, class_weight),
            axes,
            _check_irreducible_loss(irreducible_loss, samples, axes),
            token_weights,
        )
        if self.adapter is not None:
            self.old_adapters.add(self.adapter)
        self.sampler = None
        self.adapter = PlannedAdapter(
            reader.batch_functions,
            reader.signature,
            steps=int(self.steps or 0),
            workers=workers,
            gathered=reader.gathered_batches(),
        )
        return self.adapter

    def configure(
        self,
        batch_size: int,
        steps_per_epoch: int | None,
        drop_remainder: bool = True,
    ) -> None:
        """Sets the batch size and the number of steps per epoch."""
        samples = self.source.samples
        if self.source.unit == "batch" and batch_size != 1:
            raise ValueError(
                "Argument `batch_size` must be left out for a PyDataset: a "
                "step trains on one of its batches, and only their order "
                f"changes. Received: batch_size={batch_size!r}"
            )
        check_integer(batch_size, "batch_size", minimum=1)
        if batch_size > samples:
            raise ValueError(
                "Argument `batch_size` must be at most the number of samples, "
                f"{samples}. Received: batch_size={batch_size}"
            )
        if steps_per_epoch is not None:
            check_integer(steps_per_epoch, "steps_per_epoch", minimum=1)
        if not isinstance(drop_remainder, bool):
            raise TypeError(
                "Argument `drop_remainder` must be a bool. "
                f"Received: drop_remainder={drop_remainder!r}"
            )
        if steps_per_epoch is not None and not drop_remainder:
            raise ValueError(
                "Argument `drop_remainder` must be True with "
                "`steps_per_epoch`, whose batches are all whole. Received: "
                f"drop_remainder=False, steps_per_epoch={steps_per_epoch}"
            )
        self.batch_size = int(batch_size)
        self.steps = int(steps_per_epoch or samples // batch_size)
        rest = 0 if steps_per_epoch else int(samples % batch_size)
        self.dropped = rest if drop_remainder else 0
        self.last_batch_size = None
        if rest and not drop_remainder:
            self.steps += 1
            self.last_batch_size = rest
        self.plan = None

    def set_plan(self, plan: EpochPlan | None) -> None:
        """Sets the plan of an epoch; `None` restores the natural order."""
        self.plan = plan
        self.batches_read = 0

    def is_input(self, x: Any) -> bool:
        """Returns whether `x`, the argument of `fit`, is this data set.

        Raises:
            ValueError: If it is a data set that a newer one has replaced.
        """
        if isinstance(x, PlannedAdapter):
            if x is not self.adapter and x in self.old_adapters:
                raise ValueError(
                    "Argument `x` of `fit` must be the data set that the last "
                    "call of `dataset()` returned, because plans apply to "
                    "that one. Received: x from an earlier call"
                )
            return x is self.adapter
        sampler = getattr(x, "batch_sampler", None)
        return sampler is not None and sampler is self.sampler

    def plan_ids(self) -> np.ndarray:
        """Returns the ids of each batch, in natural order without a plan.

        A last batch that is smaller ends with -1.
        """
        if self.plan is not None:
            return self.plan.ids
        size = int(self.batch_size or 1)
        steps = int(self.steps or 0)
        ids: np.ndarray = np.arange(steps * size) % self.source.samples
        if self.last_batch_size is not None:
            ids[self.last_batch_size - size :] = -1
        return ids.reshape(-1, size)

    def _check_workers(self, workers: int) -> None:
        check_integer(workers, "workers")
        if workers > 1 and self.source.buffer_size is not None:
            raise ValueError(
                "Argument `workers` must be 0 or 1 for a `StreamingDataset`, "
                "which is read in order; parallelize with tf.data instead. "
                f"Received: workers={workers}"
            )

    def _targets(self) -> Any:
        if self.source.y is not None:
            return self.source.y
        return self.source.fetch(self.plan_ids()[0])[1]


def sample_class_weights(
    y: Any, class_weight: Mapping[int, float] | None
) -> np.ndarray | None:
    """Returns the class weight of each sample; missing classes have weight 1.

    Example:

    >>> import numpy as np
    >>> sample_class_weights(np.array([0, 1, 1, 2]), {1: 2.0})
    array([1., 2., 2., 1.], dtype=float32)

    Raises:
        ValueError: If the targets are not classes, or a weight is negative.
    """
    if class_weight is None:
        return None
    values = class_values(y)
    if values is None:
        raise ValueError(
            "Argument `class_weight` needs targets that are classes: "
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


def _check_irreducible_loss(
    values: Any, samples: int, loss_axes: int
) -> np.ndarray | None:
    if values is None:
        return None
    if loss_axes > 1:
        raise ValueError(
            "Argument `irreducible_loss` needs a loss with one value per "
            "sample, but the targets are taken for one class per step: let "
            "the loss return the mean over the steps, and pass "
            "`token_weights=False`. Received: irreducible_loss for weights "
            f"with {loss_axes} axes"
        )
    array = np.asarray(values)
    if array.shape != (samples,) or not np.isfinite(array).all():
        raise ValueError(
            "Argument `irreducible_loss` must hold one finite number for each "
            f"of the {samples} samples. "
            f"Received: irreducible_loss of shape {array.shape}"
        )
    return array
