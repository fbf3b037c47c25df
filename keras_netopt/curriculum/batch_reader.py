"""Reads the batches that an epoch plan lists."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from keras_netopt.curriculum.epoch_plan import EpochPlan
from keras_netopt.curriculum.loss_axes import check_loss_axes
from keras_netopt.curriculum.loss_weights import broadcast_weights
from keras_netopt.curriculum.sample_source import (
    ArraySource,
    Samples,
    to_floatx,
)
from keras_netopt.training import order
from keras_netopt.training.data_adapter import GatheredBatches

if TYPE_CHECKING:
    from keras_netopt.curriculum.curriculum_data import CurriculumData


class BatchReader:
    """Reads the batches of one data set; thread-safe, because it is pure."""

    def __init__(
        self,
        data: "CurriculumData",
        class_weights: np.ndarray | None,
        loss_axes: int,
        irreducible_loss: np.ndarray | None,
        token_weights: bool | None = None,
    ) -> None:
        self.data = data
        self.token_weights = token_weights
        self.class_weights = class_weights
        self.loss_axes = loss_axes
        self.irreducible_loss = irreducible_loss
        # Whether samples of one batch may have different weights.
        self.has_different_weights = data.source.unit != "batch" and (
            data.plans_weights or class_weights is not None
        )
        # Batches without weights train faster, and to the same bit.
        self.has_weights = (
            data.plans_weights
            or data.sequence_length is not None
            or not isinstance(data.source, ArraySource)
            or data.source.sample_weight is not None
            or class_weights is not None
            or irreducible_loss is not None
        )

    def batch_functions(self) -> list[Callable[[], Any]]:
        """Returns one function per batch of the epoch, which reads it."""
        plan, source = self.data.plan, self.data.source
        model = order.find_model_to_build()
        if model is not None and self.has_weights:
            # Keras multiplies loss and weights before callbacks can check.
            check_loss_axes(model, self)
        fetch: Callable[[np.ndarray], Samples] = source.fetch
        if plan is not None and plan.stream_positions is not None:
            batches = source.iter_batches(  # type: ignore[attr-defined]
                plan.stream_positions
            )
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
        fetch: Callable[[np.ndarray], Samples],
    ) -> Any:
        """Reads one batch."""
        data = self.data
        data.batches_read += 1
        ids = ids[ids >= 0]
        x, y, own = fetch(ids)
        if not self.has_weights:
            return keras.utils.pack_x_y_sample_weight(x, y)
        size = len(keras.tree.flatten(x)[0])
        weight: np.ndarray = np.ones(size, "float32")
        if plan is not None:
            weight = np.broadcast_to(plan.weights[row, : len(ids)], size)
        if self.class_weights is not None:
            weight = weight * self.class_weights[ids]
        weight = broadcast_weights(weight, own, y, self.loss_axes)
        warmup = data.sequence_length
        if plan is not None and plan.sequence_lengths is not None:
            x, y, weight = warmup.apply(  # type: ignore[union-attr]
                x, y, weight, int(plan.sequence_lengths[row])
            )
        if y is None:  # As `fit(x)` passes them: not as a tuple of one.
            return keras.utils.pack_x_y_sample_weight(x)
        # Before the first plan Keras builds a model with the ordinary loss.
        if self.irreducible_loss is not None and plan is not None:
            column = self.irreducible_loss[ids].astype("float32")
            weight = np.stack([weight, column], axis=-1)
        return x, y, weight.astype("float32")

    def first_batch(
        self, loss_axes: int | None = None
    ) -> tuple[Any, Any, np.ndarray]:
        """Returns inputs, targets and the weights that a plan may give them.

        `loss_axes` are by default those of the reader.
        """
        axes = self.loss_axes if loss_axes is None else loss_axes
        x, y, own = self.data.source.fetch(self.data.plan_ids()[0])
        ones: np.ndarray = np.ones(len(keras.tree.flatten(x)[0]), "float32")
        return x, y, broadcast_weights(ones, own, y, axes)

    def gathered_batches(self) -> GatheredBatches | None:
        """Returns arrays for `tf.gather` if TensorFlow can form the batches."""
        source, warmup = self.data.source, self.data.sequence_length
        if (
            keras.backend.backend() != "tensorflow"
            or not isinstance(source, ArraySource)
            or warmup is not None
        ):
            return None
        leaves = keras.tree.flatten((source.x, source.y))
        own = source.sample_weight
        if (
            source.y is None
            or self.loss_axes > 1
            or (own is not None and own.ndim > 1)
            or any(leaf.dtype.kind not in "iufb" for leaf in leaves)
        ):
            return None
        arrays = keras.tree.map_structure(to_floatx, (source.x, source.y))
        return GatheredBatches(
            arrays,
            self.ids_and_weights,
            self.has_weights,
            is_whole=self.data.last_batch_size is None,
            weight_shape=() if self.irreducible_loss is None else None,
        )

    def ids_and_weights(self) -> tuple[np.ndarray, ...]:
        """Returns the ids and the weights, if any, of the epoch's batches."""
        data, ids = self.data, self.data.plan_ids()
        data.batches_read += len(ids)
        if not self.has_weights:
            return (ids,)
        weight: np.ndarray = np.ones(ids.shape, "float32")
        if data.plan is not None:
            weight = data.plan.weights
        own = data.source.sample_weight
        for each in (self.class_weights, own):
            weight = weight if each is None else weight * each[ids]
        if self.irreducible_loss is not None and data.plan is not None:
            weight = np.stack([weight, self.irreducible_loss[ids]], axis=-1)
        return ids, weight.astype("float32")

    def signature(self) -> Any:
        """Returns shapes and dtypes, with `None` for axes that vary."""
        ids, source = self.data.plan_ids(), self.data.source
        # Only the first two of a stream, so that it is not read to its end.
        ends = ids[[0, -1]] if source.buffer_size is None else ids[:2][[0, -1]]
        first, last = (self.read(None, i, 0, source.fetch) for i in ends)
        warmup = self.data.sequence_length
        sequence = None if warmup is None else warmup.full_length
        specs = keras.tree.map_structure(
            functools.partial(_spec, sequence), first, last
        )
        if self.irreducible_loss is None:
            return specs
        # Of any rank: that of a batch depends on whether there is a plan.
        return *specs[:2], keras.InputSpec(dtype="float32")


def _spec(
    sequence: int | None, first: np.ndarray, last: np.ndarray
) -> keras.InputSpec:
    sizes = zip(first.shape[1:], last.shape[1:], strict=True)
    rest = [a if a == b else None for a, b in sizes]
    if sequence is not None and rest and rest[0] == sequence:
        rest[0] = None
    is_text = first.dtype.kind in "USO"
    dtype = "string" if is_text else str(first.dtype)
    return keras.InputSpec(shape=(None, *rest), dtype=dtype)
