"""Masks of one model during training: what every way of updating shares."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar

import keras
import numpy as np

from keras_netopt.sparsity.kernel_view import KernelView
from keras_netopt.sparsity.layer_collapse import find_collapsed
from keras_netopt.sparsity.pruner import Pruner
from keras_netopt.sparsity.selection import WeightTarget
from keras_netopt.training import Arrays, MaskStore
from keras_netopt.training.dense_store import DenseStore
from keras_netopt.training.float_weights import float_weights
from keras_netopt.training.lazy_arrays import LazyArrays
from keras_netopt.training.weight_store import view

Accumulate = Callable[[Any, Any, Any], Any]
Loader = Callable[[Arrays], Any]
TOLERANCE = 1e-3


class MaskSession:
    """Base class of the state of one run that updates masks.

    The model's `MaskStore` holds the masks. A subclass says at which steps
    they change and how.

    Args:
        model: A compiled, built model.
        targets: The weights with masks.
        pruner: Score, allocation and pattern.
    """

    trains_dense_weights: ClassVar[bool] = False

    def __init__(
        self,
        model: keras.Model,
        targets: tuple[WeightTarget, ...],
        pruner: Pruner,
    ) -> None:
        self.model = model
        self.targets = targets
        self.keys = tuple(target.key for target in targets)
        self.weights = sum(target.view.size for target in targets)
        self.zeros = 0
        self.last = -1
        self.leaks = False
        self.collapsed: list[str] = []
        self._pruner = pruner
        self._is_verified = False
        self._updated_at = 0

    def attach(self, accumulate: Accumulate | None = None) -> None:
        """Creates the masks, and statistics for `accumulate`."""
        self._attached = MaskStore.attach(
            self.model,
            {target.key: target.variable for target in self.targets},
            accumulate,
        )
        dense = DenseStore.of(self.model)
        if dense is not None and not self.trains_dense_weights:
            dense.detach(set(self.keys).intersection(dense.keys))
        label = self._pruner.pattern.label
        self._attached.labels.update(dict.fromkeys(self.keys, label))

    def loaders(self) -> dict[str, Loader]:
        """Returns what loads the states of a file, in this order."""
        return {"masks": self.store.load_state}

    @property
    def share(self) -> float:
        """Share of the weights of all targets that is masked."""
        return self.zeros / max(1, self.weights)

    @property
    def store(self) -> MaskStore:
        """The model's mask store, another one after a recompile in `fit`."""
        return MaskStore.of(self.model) or self._attached

    def set_masks(self, masks: Iterable[np.ndarray]) -> None:
        """Assigns the masks of all targets and looks for collapsed layers.

        Each mask is assigned before the next one is computed.
        """
        kept: list[int] = []

        def count() -> Iterator[tuple[str, np.ndarray]]:
            for key, mask in zip(self.keys, masks, strict=True):
                kept.append(int(np.count_nonzero(mask)))
                yield key, mask

        self.store.assign(count())
        self.collapsed = find_collapsed(self.targets, kept)
        self.zeros = self.weights - sum(kept)

    def project(self) -> None:
        """Sets masked weights to zero, whatever changed them.

        Optimizer slots stay zero: `assign` clears them, and gradients are
        masked.
        """
        self.store.project(slots=False)

    def verify(self, step: int) -> None:
        """Finds out whether training steps apply the masks.

        The first step with masks tells; if it does not apply them, they are
        applied here after each step.
        """
        if self.zeros and not self._is_verified and step > self._updated_at:
            self._is_verified = True
            self.leaks = self.store.leaks(self.keys) > 0
        if self.leaks:
            self.project()
        self._updated_at = step

    def rounding(self) -> float:
        """Returns the largest share of weights missed by rounding to units.

        For blocks, channels and scores that are ranked within each output unit
        it is half a unit per weight.
        """
        missed, total = 0.0, 0
        for target in self.targets:
            total += target.view.size
            missed += (
                target.view.stack * _largest_unit(self._pruner, target) / 2
            )
        return missed / max(1, total)

    def follow_shapes(self) -> bool:
        """Updates the targets after an edit changed shapes.

        A weight that the pattern no longer fits keeps its mask.
        """
        if all(t.view.shape == tuple(t.variable.shape) for t in self.targets):
            return False
        renewed = [
            dataclasses.replace(t, view=KernelView.of(t.variable, t.layer))
            for t in self.targets
        ]
        self.targets = tuple(
            t for t in renewed if self._pruner.reason_to_skip(t) is None
        )
        self.keys = tuple(target.key for target in self.targets)
        self.weights = sum(target.view.size for target in self.targets)
        if self.targets:
            self.count_masked()
        return bool(self.targets)

    def count_masked(self) -> int:
        """Counts the masked weights and keeps the number in `zeros`."""
        masks = self.store.view_masks(self.keys)
        self.zeros = sum(m.size - int(np.count_nonzero(m)) for m in masks)
        return self.zeros

    def view_weights(self) -> LazyArrays:
        """Returns the targets' values, read one at a time, without masks.

        Read them in a context of `float_weights`.
        """
        return LazyArrays(view, [target.variable for target in self.targets])

    def try_masks(self, sparsity: float, data: Any) -> None:
        """Computes masks before the first step, to find errors early.

        Data that can be read only once are left for the first update.
        """
        if isinstance(data, Iterator):
            return
        with float_weights(self.model):
            masks = self._pruner.find_masks(
                self.model, self.targets, self.view_weights(), sparsity, data
            )
            for _ in masks:
                pass


def _largest_unit(pruner: Pruner, target: WeightTarget) -> int:
    if pruner.fixed_sparsity is not None:
        return 0
    sizes = pruner.pattern.sizes(target.view.matrix_shape)
    if pruner.score.within_outputs:
        return int(sizes.sum(axis=1).max())
    return int(sizes.max())


def check_finite(targets: tuple[WeightTarget, ...]) -> None:
    """Raises a ValueError if a weight holds NaN or infinity."""
    for target in targets:
        values = keras.ops.convert_to_numpy(target.variable)
        if not np.isfinite(values).all():
            raise ValueError(
                f"Weight `{target.key}` must be finite before pruning starts. "
                f"Received: {np.count_nonzero(~np.isfinite(values))} values "
                "that are NaN or infinite"
            )
