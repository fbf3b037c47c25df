"""Selects samples of a batch inside the training step."""

from dataclasses import dataclass, field
from typing import Any

import keras
from keras import ops

from keras_netopt.curriculum.select_samples import select_samples
from keras_netopt.training.replicas import join_replicas, own_part
from keras_netopt.training.sample_loss import sample_loss

_NEEDED = (
    'Argument `method` "rho" needs irreducible losses in the data: pass '
    "`curriculum.dataset(..., irreducible_loss=losses)` to `fit`, with the "
    "curriculum in `callbacks`. Received: method='rho', sample weights of "
    "shape "
)


@dataclass(frozen=True)
class BatchSelector:
    """Reduces batches to the samples selected for the backward pass.

    Implements the interface of `training.step_filter`; its methods run inside
    the compiled step. Each replica trains on as many samples as the others:
    the number kept is a multiple of theirs. The fields are the arguments of
    `select_samples`, and the pairs (size, samples kept) of the batches so far.
    """

    keep_fraction: float
    method: str
    sizes: set[tuple[int, int]] = field(default_factory=set, compare=False)

    @property
    def strips(self) -> bool:
        """Whether the sample weights also hold irreducible losses."""
        return self.method == "rho"

    @property
    def unreduced_sizes(self) -> list[int]:
        """Batch sizes, if every batch was kept whole; else empty."""
        if any(batch != kept for batch, kept in self.sizes):
            return []
        return sorted(batch for batch, _ in self.sizes)

    def select(self, model: Any, data: Any, forward: Any, uniform: Any) -> Any:
        """Returns the data reduced to the selected samples."""
        x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
        irreducible_loss = noise = None
        if self.strips:
            weight, irreducible_loss = _split(weight)
        # Ranked are the samples of all replicas, each of which takes a share.
        losses = join_replicas(sample_loss(model, y, forward(x)))
        x, y, weight, irreducible_loss = (
            join_replicas(part) for part in (x, y, weight, irreducible_loss)
        )
        if self.method == "percentile":
            noise = uniform(ops.shape(losses)[0])
        selected = select_samples(
            losses,
            self.keep_fraction,
            method=self.method,
            noise=noise,
            irreducible_loss=irreducible_loss,
            sample_weight=weight,
        )
        batch, kept = losses.shape[0], selected.shape[0]
        if batch is not None and kept is not None:
            self.sizes.add((batch, kept))
        return _take_rows(own_part(selected), x, y, weight)

    def strip(self, data: Any) -> Any:
        """Removes the irreducible losses from the data of an ordinary step."""
        x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
        weight = _with_known_shape(weight)
        if _has_irreducible_loss(weight):
            weight = weight[:, 0]
        return keras.utils.pack_x_y_sample_weight(x, y, weight)


def _take_rows(selected: Any, *parts: Any) -> Any:
    """Returns the selected rows of inputs, targets and weights."""
    taken = [
        None
        if part is None
        else keras.tree.map_structure(
            lambda leaf: ops.take(leaf, selected, axis=0), part
        )
        for part in parts
    ]
    return keras.utils.pack_x_y_sample_weight(*taken)


def _has_irreducible_loss(weight: Any) -> bool:
    shape = tuple(getattr(weight, "shape", ()))
    return len(shape) == 2 and shape[-1] == 2


def _with_known_shape(weight: Any) -> Any:
    """Tells TensorFlow the shape of weights beside irreducible losses.

    Its data sets have one shape for all batches, so this one is open: the
    batch from which Keras builds a model has no irreducible losses.
    """
    shape: Any = getattr(weight, "shape", None)
    if getattr(shape, "rank", 0) is not None:
        return weight
    import tensorflow as tf

    check = tf.debugging.assert_rank(weight, 2, f"{_NEEDED}an open shape")
    with tf.control_dependencies([] if check is None else [check]):
        return tf.ensure_shape(weight, (None, 2))


def _split(weight: Any) -> tuple[Any, Any]:
    weight = _with_known_shape(weight)
    if not _has_irreducible_loss(weight):
        raise ValueError(f"{_NEEDED}{getattr(weight, 'shape', None)}")
    return weight[:, 0], weight[:, 1]
