"""Tiny models of the families of keras_hub, with weights that matter.

    from benchmarks import hub_families
    model, x, y = hub_families.build("Llama")

Each model is a Functional classifier around a backbone, as the tasks of
keras_hub are. Sizes that mean different things differ, so that a dimension
can be told by its number: width 24, 4 heads of 6 (2 groups of keys and
values where a family has them), 56 feed-forward units, 1 or 2 layers.
"""

from collections.abc import Callable
from typing import Any

import keras

from benchmarks.hub_families import conv, text, vision
from benchmarks.hub_families.wrapping import classifier

FAMILIES: dict[str, Callable[[], keras.Model]] = {
    **text.FAMILIES,
    **vision.FAMILIES,
    **conv.FAMILIES,
}


def names() -> list[str]:
    """Returns the families, in the order of the table."""
    return list(FAMILIES)


def build(name: str, *, free: bool = False, seed: int = 0) -> tuple[Any, ...]:
    """Builds the model of a family.

    Args:
        name: One of `names()`.
        free: Whether the length of texts is free (`None`). Defaults to
            `False`.
        seed: Of weights and data. Defaults to `0`.

    Returns:
        Model, uncompiled; inputs, an array or a dict of arrays; integer
        labels.
    """
    return classifier(FAMILIES[name](), free=free, seed=seed)
