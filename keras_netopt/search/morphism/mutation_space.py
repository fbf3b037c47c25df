"""The mutations that a network allows."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from keras_netopt.checks import check_choice, check_integer
from keras_netopt.graph.model_graph import is_graph_model
from keras_netopt.search.morphism.mutation import OPERATIONS, Mutation
from keras_netopt.search.morphism.mutation_report import MutationReport
from keras_netopt.selectors import (
    as_patterns,
    check_selector,
    find_matches,
    select,
    serialize_selector,
)
from keras_netopt.surgery.channels.channel_graph import ChannelGraph
from keras_netopt.surgery.channels.layer_groups import producer_name
from keras_netopt.surgery.cutting.remove_block import list_blocks
from keras_netopt.surgery.growing.make_blocks import find_block_function

SIZED = ("widen", "narrow")  # Operations with a factor.


@dataclass(frozen=True)
class MutationSpace:
    """Lists and draws the mutations of networks.

    Args:
        operations: Names of operations.
        factors: Ratios of widths, each above 1.
        min_channels: Units that "narrow" keeps.
        block: The block that "deepen" inserts; see `surgery.deepen`.
        include: Selects the layers to mutate, or `None` for all.
        exclude: Selects layers not to mutate, or `None`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range.
    """

    operations: tuple[str, ...]
    factors: tuple[float, ...]
    min_channels: int = 4
    block: Any = None
    include: Any = None
    exclude: Any = None

    def __post_init__(self) -> None:
        if not self.operations:
            raise ValueError(
                "Argument `operations` must hold at least one of "
                f"{OPERATIONS}. Received: operations=()"
            )
        for one in self.operations:
            check_choice(one, "operations", OPERATIONS)
        is_sized = any(one in SIZED for one in self.operations)
        numbers = [f for f in self.factors if isinstance(f, int | float)]
        if is_sized and not (
            self.factors
            and len(numbers) == len(self.factors)
            and all(1 < factor < np.inf for factor in numbers)
        ):
            raise ValueError(
                "Argument `factors` must hold numbers above 1. "
                f"Received: factors={self.factors!r}"
            )
        check_integer(self.min_channels, "min_channels", minimum=1)
        check_selector(self.include, "include")
        check_selector(self.exclude, "exclude")
        find_block_function(self.block, "residual_zero")

    def list_targets(self, model: keras.Model) -> dict[str, list[Mutation]]:
        """Returns the mutations to try, by operation, without factors.

        Layers that cannot change are not among them; others may turn out to
        refuse the edit.
        """
        graph = ChannelGraph(model)
        allowed = self._allowed(graph)
        found: dict[str, list[Mutation]] = {}
        groups = [one for one in graph.layer_groups() if one.reason is None]
        for operation in self.operations:
            if operation in SIZED:
                targets = [
                    _on_units(graph, operation, one.layers[0])
                    for one in groups
                    if allowed & {graph.path(key) for key in one.layers}
                ]
                if operation == "narrow":
                    targets = [one for one in targets if not one.kind]
            elif operation == "deepen":
                targets = [
                    Mutation(operation, path)
                    for path, _ in _deepen_places(graph)
                    if path in allowed
                ]
            else:
                targets = [
                    Mutation(operation, name)
                    for name in list_blocks(model)
                    if name in allowed
                ]
            found[operation] = targets
        return found

    def draw(
        self, model: keras.Model, rng: np.random.Generator
    ) -> Iterator[Mutation]:
        """Yields every mutation once, in random order.

        The operation is drawn first, so that "widen" is as frequent as
        "remove_block" although it has more targets.
        """
        targets = self.list_targets(model)
        left = {
            operation: [
                replace(one, factor=float(factor)) if factor else one
                for one in found
                for factor in (self.factors if operation in SIZED else (None,))
            ]
            for operation, found in targets.items()
        }
        while names := [name for name in self.operations if left[name]]:
            own = left[names[rng.integers(len(names))]]
            yield own.pop(rng.integers(len(own)))

    def apply(
        self, model: keras.Model, mutation: Mutation, **options: Any
    ) -> Any:
        """Makes a mutation with the settings of this space."""
        return mutation.apply(
            model, min_channels=self.min_channels, block=self.block, **options
        )

    def explain(self, model: keras.Model) -> MutationReport:
        """Tries every mutation of a model that is not changed."""
        graph = ChannelGraph(model)
        rows: list[tuple[str, str, str]] = []
        for operation, targets in self.list_targets(model).items():
            for one in targets:
                reason = self._obstacle(model, one)
                rows.append((operation, _name(one), reason))
            if operation in SIZED:
                rows += [
                    (operation, producer_name(graph, one.layers[0]), one.reason)
                    for one in graph.layer_groups()
                    if one.reason is not None
                ]
        return MutationReport(model.name, tuple(rows), self.factors)

    def _obstacle(self, model: keras.Model, mutation: Mutation) -> str:
        """Returns why a mutation cannot be made; "" if it can."""
        if mutation.operation == "remove_block":
            return ""
        reason = ""
        factors = self.factors if mutation.operation in SIZED else (None,)
        for factor in factors:
            try:
                sized = replace(mutation, factor=factor)
                self.apply(model, sized, dry_run=True)
            except ValueError as error:
                reason = str(error)
            else:
                return ""
        return reason

    def _allowed(self, graph: ChannelGraph) -> set[str]:
        """Returns the paths of the layers that the selectors choose."""
        layers = list(graph.layers())
        chosen = set(range(len(layers)))
        if self.include is not None:
            chosen = _find(self.include, layers, graph.model)
        if self.exclude is not None:
            chosen -= _find(self.exclude, layers, graph.model)
        return {layers[k][0] for k in chosen}

    def check_selectors(self, model: keras.Model) -> None:
        """Raises ValueError if a selector matches no layer of the parent."""
        layers = list(ChannelGraph(model).layers())
        for name in ("include", "exclude"):
            if (selector := getattr(self, name)) is not None:
                select(selector, layers, model, name)


def _find(selector: Any, layers: list[Any], model: keras.Model) -> set[int]:
    """Returns the positions of the chosen layers; children lack some."""
    ends = [layer for _, layer in layers]
    found: set[int] = set()
    for pattern in as_patterns(selector):
        # A layer object is that of the parent, its name that of every child.
        if isinstance(pattern, keras.Layer):
            pattern = serialize_selector(pattern)
        found |= find_matches(pattern, layers, model, ends)
    return found


def _on_units(graph: ChannelGraph, operation: str, key: Any) -> Mutation:
    kind = key[1] if isinstance(key, tuple) else ""
    return Mutation(operation, graph.path(key), kind)


def _name(mutation: Mutation) -> str:
    kind = f" ({mutation.kind})" if mutation.kind else ""
    return mutation.layer + kind


def _deepen_places(graph: ChannelGraph) -> Iterator[tuple[str, Any]]:
    """Yields the layers after which a block may be inserted."""
    if not is_graph_model(graph.model):
        return
    makers = {id(key) for key in graph.producers if not isinstance(key, tuple)}
    for path, layer in graph.layers():
        if id(layer) in makers or isinstance(layer, keras.layers.Add):
            yield path, layer


def as_tuple(value: Any, name: str) -> tuple[Any, ...]:
    """Returns a sequence as a tuple; a string is no sequence here."""
    if isinstance(value, list | tuple):
        return tuple(value)
    raise TypeError(
        f"Argument `{name}` must be a list or tuple. Received: {name}={value!r}"
    )
