"""Checked arguments of `search.weedout`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import keras

from keras_netopt.checks import (
    check_bool,
    check_choice,
    check_fraction,
    check_integer,
)
from keras_netopt.graph.layers import walk_layers
from keras_netopt.search.subnetworks.candidate_space import CandidateSpace
from keras_netopt.search.subnetworks.subset_search import HEURISTICS
from keras_netopt.search.subnetworks.unit_counts import check_unit_allocation
from keras_netopt.search.subnetworks.unit_space import UnitSpace
from keras_netopt.search.subnetworks.weight_space import WeightSpace
from keras_netopt.selectors import as_patterns, check_selector
from keras_netopt.sparsity.allocation import PerLayer, resolve_allocation

_Pair: TypeAlias = tuple[keras.Layer, keras.Layer]


@dataclass(frozen=True)
class WeedoutSettings:
    """The arguments of `search.weedout` that a repeated search shares.

    Args:
        sparsity: As in `search.weedout`, as all others.
        candidates: Number of evaluated configurations.
        heuristic: "random" or "genetic".
        scope: "local" or "global".
        granularity: "node" or "weight".
        allocation: How the sparsity is distributed over layers.
        include: Layers or weights to search.
        exclude: Layers or weights not to search.
        mask_inputs: Whether features of the inputs are units.
        controls: Number of random configurations.
    """

    sparsity: float
    candidates: int
    heuristic: str
    scope: str
    granularity: str
    allocation: Any
    include: Any
    exclude: Any
    mask_inputs: bool
    controls: int

    @classmethod
    def create(cls, **given: Any) -> "WeedoutSettings":
        """Checks the arguments."""
        check_fraction(given["sparsity"], "sparsity")
        check_integer(given["candidates"], "candidates", minimum=1)
        check_choice(given["heuristic"], "heuristic", HEURISTICS)
        check_choice(given["scope"], "scope", ("local", "global"))
        check_choice(given["granularity"], "granularity", ("node", "weight"))
        check_integer(given["controls"], "controls")
        check_bool(given["mask_inputs"], "mask_inputs")
        check_selector(given["include"], "include")
        check_selector(given["exclude"], "exclude")
        if given["controls"] < 1:
            raise ValueError(
                "Argument `controls` must be at least 1: Weedout without a "
                "random control is meaningless. "
                f"Received: controls={given['controls']!r}"
            )
        self = cls(**given)
        self._check_combinations()
        return self

    def for_copy(
        self, model: keras.Model, copy: keras.Model
    ) -> "WeedoutSettings":
        """Returns settings that select in a copy what these do in a model.

        Layers and functions may ask which object a layer is.

        Args:
            model: The model.
            copy: A copy of it, with the same layers in the same order.
        """
        pairs = list(zip(walk_layers(model), walk_layers(copy), strict=True))
        allocation = self.allocation
        if isinstance(allocation, PerLayer):
            allocation = PerLayer(
                _translate_keys(allocation.values, pairs),
                rest=allocation.rest,
                keep_total=allocation.keep_total,
            )
        elif isinstance(allocation, Mapping):
            allocation = _translate_keys(allocation, pairs)
        return replace(
            self,
            include=_translate(self.include, pairs),
            exclude=_translate(self.exclude, pairs),
            allocation=allocation,
        )

    def make_space(self, model: keras.Model) -> CandidateSpace:
        """Returns the candidates of a model."""
        arguments = {
            "include": self.include,
            "exclude": self.exclude,
            "scope": self.scope,
            "allocation": self.allocation,
        }
        if self.granularity == "weight":
            return WeightSpace(model, self.sparsity, **arguments)
        return UnitSpace(
            model, self.sparsity, mask_inputs=self.mask_inputs, **arguments
        )

    def _check_combinations(self) -> None:
        if self.granularity == "node":
            check_unit_allocation(self.allocation)
        elif self.mask_inputs:
            raise ValueError(
                "Argument `mask_inputs` must be False with "
                "granularity='weight', which masks the weights of each input. "
                "Received: mask_inputs=True"
            )
        elif resolve_allocation(self.allocation) == "global":
            raise ValueError(
                "Argument `allocation` must name a sparsity of each layer; for "
                "one of all layers together pass scope='global'. "
                "Received: allocation='global'"
            )
        if self.scope == "global" and self.allocation != "uniform":
            raise ValueError(
                "Argument `allocation` must be left out with scope='global', "
                "in which layers have no sparsity of their own. "
                f"Received: allocation={self.allocation!r}"
            )


def _translate_keys(
    values: Mapping[Any, Any], pairs: Sequence[_Pair]
) -> dict[Any, Any]:
    return {_translate_one(key, pairs): v for key, v in values.items()}


def _translate(selector: Any, pairs: Sequence[_Pair]) -> Any:
    if selector is None:
        return None
    return [_translate_one(one, pairs) for one in as_patterns(selector)]


def _translate_one(pattern: Any, pairs: Sequence[_Pair]) -> Any:
    """Returns a pattern for the copy; texts and classes stay."""
    if isinstance(pattern, str | type):
        return pattern
    if isinstance(pattern, tuple | frozenset):
        return tuple(_translate(pattern, pairs))
    if isinstance(pattern, keras.Layer):
        own = [twin for layer, twin in pairs if layer is pattern]
        return own[0] if own else pattern
    layers = {id(twin): layer for layer, twin in pairs}
    return lambda twin: pattern(layers.get(id(twin), twin))
