"""What a training step that chooses does to its batch."""

from dataclasses import dataclass, field
from typing import Any

import keras
from keras import ops

from keras_netopt.curriculum.selection import select_samples
from keras_netopt.training.sample_loss import sample_loss


@dataclass(frozen=True)
class BatchChoice:
    """Cuts batches down to the samples that are worth a backward pass.

    Its methods run inside the compiled step, as `training.step_filter` wants
    them: data in, data out.

    Args:
        keep: Share of a batch to keep, in (0, 1).
        method: As in `selection.select_samples`.
    """

    keep: float
    method: str
    sizes: set[tuple[int, int]] = field(default_factory=set, compare=False)

    @property
    def strips(self) -> bool:
        """Whether an ordinary step finds losses beside the weights."""
        return self.method == "rho"

    @property
    def keeps_all(self) -> list[int]:
        """Sizes of the batches, where each was kept as it was."""
        if any(batch != kept for batch, kept in self.sizes):
            return []
        return sorted(batch for batch, _ in self.sizes)

    def choose(self, model: Any, data: Any, forward: Any, draw: Any) -> Any:
        """Returns the samples chosen by what the model answers now."""
        x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
        irreducible = noise = None
        if self.strips:
            weight, irreducible = _split(weight)
        losses = sample_loss(model, y, forward(x))
        if self.method == "percentile":
            noise = draw(ops.shape(losses)[0])
        chosen = select_samples(
            losses,
            self.keep,
            method=self.method,
            noise=noise,
            irreducible=irreducible,
            weight=weight,
        )
        batch, kept = losses.shape[0], chosen.shape[0]
        if batch is not None and kept is not None:
            self.sizes.add((batch, kept))
        return _taken(chosen, x, y, weight)

    def strip(self, data: Any) -> Any:
        """Takes the irreducible losses out of an ordinary step."""
        x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
        if _has_table(weight):
            weight = weight[:, 0]
        return keras.utils.pack_x_y_sample_weight(x, y, weight)


def _taken(chosen: Any, *parts: Any) -> Any:
    """Takes rows out of every array of inputs, targets and weights."""
    taken = [
        None
        if part is None
        else keras.tree.map_structure(
            lambda leaf: ops.take(leaf, chosen, axis=0), part
        )
        for part in parts
    ]
    return keras.utils.pack_x_y_sample_weight(*taken)


def _has_table(weight: Any) -> bool:
    shape = tuple(getattr(weight, "shape", ()))
    return len(shape) == 2 and shape[-1] == 2


def _split(weight: Any) -> tuple[Any, Any]:
    if not _has_table(weight):
        raise ValueError(
            'Argument `select` may be "rho" only where the data bring '
            "irreducible losses: pass `curriculum.dataset(..., table=losses)` "
            "to `fit`. Received: select='rho', sample weights of shape "
            f"{getattr(weight, 'shape', None)}"
        )
    return weight[:, 0], weight[:, 1]
