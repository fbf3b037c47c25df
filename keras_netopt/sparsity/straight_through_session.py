"""State of one run of sparse training with straight-through masks."""

import dataclasses
from typing import Any

import numpy as np

from keras_netopt.sparsity.mask_session import Accumulate, Loader
from keras_netopt.sparsity.resolve_score import resolve_score
from keras_netopt.sparsity.sparse_session import SparseSession
from keras_netopt.training.dense_store import DenseStore
from keras_netopt.training.float_weights import DENSE_WEIGHTS


class StraightThroughSession(SparseSession):
    """Chooses the masks again and again by the size of the dense weights.

    The model's `DenseStore` holds the dense weights. Masks are computed for
    all weights together, with the allocation and the pattern of the first
    ones, until the share `drop_fraction` is zero.

    Args:
        decay: Factor of the dense weights at masked positions that is added
            to their gradients. Defaults to `0.0`.
        **arguments: Those of `SparseSession`.
    """

    trains_dense_weights = True

    def __init__(
        self, *args: Any, decay: float = 0.0, **arguments: Any
    ) -> None:
        self._decay = decay
        super().__init__(*args, **arguments)
        self._by_size = dataclasses.replace(
            self._pruner, score=resolve_score("magnitude")
        )

    def attach(self, accumulate: Accumulate | None = None) -> None:
        """Creates masks and dense weights."""
        super().attach(accumulate)
        DenseStore.attach(self.model, self.keys, self._decay)

    def loaders(self) -> dict[str, Loader]:
        """Returns what loads the states of a file; the masks come first."""
        dense = DenseStore.attach(self.model, self.keys, self._decay)
        return {**super().loaders(), DENSE_WEIGHTS: dense.load_state}

    def advance(self, step: int) -> bool:
        """Makes the latest update that is due, if it is not made yet.

        Returns `False` if a weight is not finite; nothing is changed then.
        """
        self.verify(step)
        self.follow_shapes()
        due = self._due(step)
        if due <= self.last or not self.targets:
            return True
        self.last = due
        weights = self.store.weights(self.keys)
        if not all(np.isfinite(weight).all() for weight in weights.values()):
            return False
        self._choose_masks(weights)
        return True

    def adopt_weights(self) -> bool:
        """Makes weights that were restored or averaged the dense weights.

        Masks are chosen by their size, as at every update; returns `True`.
        """
        dense = DenseStore.of(self.model)
        if dense is not None and dense.take_up() and self.targets:
            self._choose_masks(self.store.weights(self.keys))
        return True

    def _choose_masks(self, weights: dict[str, np.ndarray]) -> None:
        masks = self._by_size.compute_masks(
            self.sparsity, self.targets, [weights[key] for key in self.keys]
        )
        self.set_masks(masks)
        self.count_masked()
