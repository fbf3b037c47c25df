"""Sub-networks that keep a subset of the single weights."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_netopt.graph.layers import variable_keys
from keras_netopt.search.subnetworks.candidate_space import CandidateSpace
from keras_netopt.search.subnetworks.subsets import Kept, Subsets
from keras_netopt.sparsity.pruner import Pruner
from keras_netopt.sparsity.selection import select
from keras_netopt.training.compiled_clone import clone_compiled
from keras_netopt.training.mask_store import MaskStore
from keras_netopt.training.weight_store import read

SWAP = 0.01  # Share of the kept weights that a mutation exchanges.


class WeightSpace(CandidateSpace):
    """The candidates of `granularity="weight"`: masks of exact sparsity.

    Args:
        model: As in `CandidateSpace`.
        sparsity: Share of the weights that are masked.
        include: Weights to mask, as in `sparsity.select`.
        exclude: Weights not to mask.
        scope: "local" or "global".
        allocation: As in `sparsity.prune`, without "global".

    Raises:
        ValueError: If no weight can be masked, or a weight would lose all of
            its elements.
    """

    def __init__(
        self,
        model: keras.Model,
        sparsity: float,
        *,
        include: Any,
        exclude: Any,
        scope: str,
        allocation: Any,
    ) -> None:
        super().__init__(model)
        together = scope == "global"
        pruner = Pruner.create("random", "global" if together else allocation)
        selection = select(model, include, exclude)
        selection = pruner.filter_selection(model, selection, sparsity)
        if not selection.targets:
            raise ValueError(
                "Argument `model` must have a kernel that can be masked. "
                f"Received: model={model.name!r}"
            )
        self._targets = selection.targets
        self.variables = [target.variable for target in self._targets]
        self.names = tuple(target.key for target in self._targets)
        self.skipped = tuple((one.key, one.reason) for one in selection.skipped)
        masks = pruner.compute_masks(
            sparsity, self._targets, [read(v) for v in self.variables]
        )
        counts = [int(np.count_nonzero(mask)) for mask in masks]
        self.subsets = Subsets(
            [mask.size for mask in masks], counts, together=together, swap=SWAP
        )

    def masks(self, kept: Kept) -> list[np.ndarray]:
        """Returns the mask of each weight."""
        return [
            part.reshape(v.shape)
            for part, v in zip(
                self.subsets.split(kept), self.variables, strict=True
            )
        ]

    def make_model(self, kept: Kept) -> keras.Model:
        """Returns a copy with masks, which `fit` keeps."""
        places = {id(v): i for i, v in enumerate(self.model.weights)}
        masks = {
            places[id(v)]: mask
            for v, mask in zip(self.variables, self.masks(kept), strict=True)
        }
        return copy_with_masks(self.model, masks)

    def describe(self, kept: Kept) -> Mapping[str, np.ndarray]:
        """Returns the mask of each weight, by its key."""
        return dict(zip(self.names, self.masks(kept), strict=True))

    def node_sparsity(self, kept: Kept) -> float:
        """Returns the share of output units without any weight."""
        columns = [
            target.view.to_2d(mask).any(axis=0)
            for target, mask in zip(
                self._targets, self.masks(kept), strict=True
            )
        ]
        return 1.0 - float(np.concatenate(columns).mean())


def copy_with_masks(
    model: keras.Model, masks: Mapping[int, np.ndarray]
) -> keras.Model:
    """Returns a compiled copy with masks, by position in `model.weights`."""
    copy: keras.Model = clone_compiled(model)
    attach_masks(copy, masks)
    return copy


def attach_masks(model: keras.Model, masks: Mapping[int, np.ndarray]) -> None:
    """Adds masks, by position in `model.weights`, and applies them."""
    keys = variable_keys(model)
    variables = {i: model.weights[i] for i in masks}
    store = MaskStore.attach(
        model, {keys[id(v)]: v for v in variables.values()}
    )
    store.assign({keys[id(v)]: masks[i] for i, v in variables.items()})
