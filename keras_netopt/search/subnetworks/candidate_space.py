"""Base of the spaces in which sparse sub-networks are searched."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_netopt.graph.layers import own_variables, walk_layers
from keras_netopt.search.subnetworks.subsets import Kept, Subsets
from keras_netopt.sparsity.prunability import is_kernel


class CandidateSpace(ABC):
    """The sub-networks of one model with a given sparsity.

    Args:
        model: A built and compiled model, which no method changes.

    Attributes:
        subsets: The subsets of units or weights that a candidate keeps.
        names: What each part of a subset belongs to: a layer or a weight.
        variables: The variables that have masks.
        skipped: Layers or weights that stay whole, each with the reason.
    """

    subsets: Subsets
    names: tuple[str, ...]
    variables: list[Any]
    skipped: tuple[tuple[str, str], ...]

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        self._kernels = [
            variable
            for layer in walk_layers(model)
            for variable in own_variables(layer)
            if is_kernel(variable, layer)
        ]

    @abstractmethod
    def masks(self, kept: Kept) -> list[np.ndarray]:
        """Returns the mask of each of `variables`, `True` = kept."""

    @abstractmethod
    def make_model(self, kept: Kept) -> keras.Model:
        """Returns a new compiled model of what is kept, with its weights."""

    @abstractmethod
    def describe(self, kept: Kept) -> Mapping[str, np.ndarray]:
        """Returns what each layer or weight keeps, by name."""

    @abstractmethod
    def node_sparsity(self, kept: Kept) -> float:
        """Returns the share of units that a candidate does not use."""

    def weight_sparsity(self, kept: Kept) -> float:
        """Returns the share of all kernels' weights that is removed."""
        masks = {
            id(v): mask
            for v, mask in zip(
                self.variables, self._removal_masks(kept), strict=True
            )
        }
        left = total = 0
        for one in self._kernels:
            size = int(np.prod(one.shape))
            mask = masks.get(id(one))
            total += size
            left += size if mask is None else int(np.count_nonzero(mask))
        return 1.0 - left / total if total else 0.0

    def _removal_masks(self, kept: Kept) -> Sequence[np.ndarray]:
        """Returns the masks by which weights are counted."""
        return self.masks(kept)
