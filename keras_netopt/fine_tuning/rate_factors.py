"""The factor of the learning rate of each layer."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from keras_netopt.checks import check_at_least_zero
from keras_netopt.fine_tuning.layer_groups import (
    GroupOfLayers,
    list_blocks,
    make_groups,
)


@dataclass(frozen=True, eq=False)
class RatedGroup:
    """Layers with one factor.

    Args:
        group: The layers.
        factor: What their updates are multiplied with.
    """

    group: GroupOfLayers
    factor: float


def rate_pairs(rates: Any) -> list[tuple[Any, float]]:
    """Returns selectors and factors as pairs, checked as far as possible.

    Raises:
        TypeError: If `rates` is no mapping or a factor no number.
        ValueError: If it is empty or a factor is negative.
    """
    if isinstance(rates, Mapping):
        pairs = list(rates.items())
    elif isinstance(rates, list | tuple) and all(
        isinstance(pair, list | tuple) and len(pair) == 2 for pair in rates
    ):
        pairs = [tuple(pair) for pair in rates]
    else:
        raise TypeError(
            "Argument `rates` must be a dictionary from selectors to factors. "
            f"Received: rates={rates!r}"
        )
    if not pairs:
        raise ValueError(
            "Argument `rates` must hold at least one selector, or be None. "
            f"Received: rates={rates!r}"
        )
    return [(key, check_at_least_zero(f, "rates")) for key, f in pairs]


def find_rates(
    model: keras.Model,
    rates: Sequence[tuple[Any, float]],
    decay: float | None,
    groups: Any,
) -> list[RatedGroup]:
    """Returns the layers of a model with the factor of each.

    Args:
        model: The model.
        rates: Selectors and factors; a layer may match one of them.
        decay: Factor between a group and the next deeper one, or `None`.
        groups: The groups of `decay`: selectors from the last layers to the
            first, a number, or `None` for one group per block
            (`list_blocks`).

    Raises:
        ValueError: If a selector matches nothing or only frozen layers, two
            match one layer, or layers that share a weight have two factors.
    """
    factors: dict[int, float] = {}
    blocks = list_blocks(model)
    if decay is not None:
        if groups is None:
            parts = blocks[::-1]
        else:
            parts = make_groups(model, groups)
            if not isinstance(groups, list | tuple):
                parts = parts[::-1]
        for depth, part in enumerate(parts):
            _multiply(factors, part, decay**depth)
    if rates:
        chosen = make_groups(model, [key for key, _ in rates], "rates")
        for part, (_, factor) in zip(chosen, rates, strict=True):
            _multiply(factors, part, factor)
    joined = _join(blocks, factors)
    _check_shared(joined)
    return joined


def variable_factors(found: Iterable[RatedGroup]) -> dict[int, float]:
    """Returns the factor of each weight, by `id(variable)`."""
    return {id(v): one.factor for one in found for v in one.group.variables}


def _multiply(
    factors: dict[int, float], part: GroupOfLayers, factor: float
) -> None:
    for layer in part.layers:
        factors[id(layer)] = factors.get(id(layer), 1.0) * factor


def _check_shared(joined: list[RatedGroup]) -> None:
    held: dict[int, RatedGroup] = {}
    for one in joined:
        for variable in one.group.variables:
            other = held.setdefault(id(variable), one)
            if other is not one:
                raise ValueError(
                    "Layers that share a weight must have one factor. Name "
                    "them in one selector of `rates`, or in one group of "
                    f"`groups`. Received: '{variable.path}' in layers with "
                    f"the factors {other.factor:g} and {one.factor:g}"
                )


def _join(
    blocks: list[GroupOfLayers], factors: dict[int, float]
) -> list[RatedGroup]:
    """Joins the layers of equal factors, in the order of the model."""
    found: dict[float, list[Any]] = {}
    for block in blocks:
        for path, layer in zip(block.paths, block.layers, strict=True):
            factor = factors.get(id(layer), 1.0)
            found.setdefault(factor, []).append((path, layer, block))
    joined = []
    for factor, rows in found.items():
        held = {id(v): v for _, layer, _ in rows for v in layer.variables}
        trained = {id(v): v for _, _, block in rows for v in block.variables}
        group = GroupOfLayers(
            tuple(path for path, _, _ in rows),
            tuple(layer for _, layer, _ in rows),
            tuple(v for key, v in trained.items() if key in held),
        )
        joined.append(RatedGroup(group, factor))
    return joined
