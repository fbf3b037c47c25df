"""Progressive shrinking: which options a training may use, and when."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from keras_netopt.graph.layers import walk_layers
from keras_netopt.search.supernet.searchable_layer import (
    SearchableLayer,
    find_decisions,
)
from keras_netopt.search.supernet.sort_channels import (
    has_sortable_units,
    sort_channels,
)

LARGEST = "largest"
AXES = ("kernel", "depth", "width")


@dataclass(frozen=True)
class ShrinkingStage:
    """One stage of a training, in which some options may be sampled.

    Args:
        name: "largest", or the axis that shrinks in this stage and the number
            of its options, as in "width 2".
        enabled: The positions of the options by the name of the decision.
        sorts: Whether units are sorted by importance first. Defaults to
            `False`.
    """

    name: str
    enabled: Mapping[str, tuple[int, ...]]
    sorts: bool = False


def plan_stages(
    model: keras.Model, order: Sequence[str] = AXES, *, gradual: bool = False
) -> list[ShrinkingStage]:
    """Returns the stages of progressive shrinking, from the largest network.

    The first stage trains the largest network alone. Then each axis shrinks in
    turn, to all its options at once or step by step. Units are sorted before
    the widths shrink, unless the model has choices of other layers, which have
    all options from the start.

    Args:
        model: A built model with elastic layers.
        order: "kernel", "depth" and "width" in the order in which they
            shrink. Axes that the model has not are skipped. Defaults to
            `("kernel", "depth", "width")`.
        gradual: Whether depths and widths get one smaller option per stage.
            Defaults to `False`: all of them in one stage.

    Returns:
        The stages, at least two.

    Raises:
        ValueError: If the model has no elastic layer, or `order` is wrong.

    Reference:
        Cai et al., "Once-for-all: train one network and specialize it for
        efficient deployment", 2019, https://arxiv.org/abs/1908.09791.
    """
    if sorted(order) != sorted(AXES):
        raise ValueError(
            f"Argument `order` must hold each of {list(AXES)} once. "
            f"Received: order={order!r}"
        )
    sizes = {name: len(d.options) for name, d in find_decisions(model).items()}
    axes = _decisions_by_axis(model)
    if not any(axes.values()):
        raise ValueError(
            "Progressive shrinking needs elastic layers, such as "
            "`layers.ElasticDense`. "
            f"Received: model=<{type(model).__name__} name={model.name}>"
        )
    first = {name: 0 for name in sizes}
    for name in (name for names in axes.values() for name in names):
        first[name] = sizes[name] - 1
    stages = [_stage(LARGEST, first, sizes)]
    for axis in order:
        steps = max((first[name] for name in axes[axis]), default=0)
        at_once = axis == "kernel" or not gradual
        for step in range(min(steps, 1) if at_once else steps):
            for name in axes[axis]:
                first[name] = 0 if at_once else max(first[name] - 1, 0)
            count = max(sizes[name] - first[name] for name in axes[axis])
            sorts = axis == "width" and step == 0 and has_sortable_units(model)
            stages.append(_stage(f"{axis} {count}", first, sizes, sorts))
    return stages


def apply_stage(model: keras.Model, stage: ShrinkingStage) -> None:
    """Enables the options of a stage, after sorting units if it says so.

    A sampling mode then uses these options only; modes do not change.
    """
    if stage.sorts:
        sort_channels(model)
    for name, decision in find_decisions(model).items():
        decision.enable(stage.enabled[name])


def find_stage(count: int, progress: float) -> int:
    """Returns the stage at a share of the training; all are equally long.

    Args:
        count: Number of stages.
        progress: Share of the training that is done, in [0, 1].
    """
    return min(int(progress * count + 1e-9), count - 1)


def _stage(
    name: str,
    first: Mapping[str, int],
    sizes: Mapping[str, int],
    sorts: bool = False,
) -> ShrinkingStage:
    enabled = {
        key: tuple(range(first[key], size)) for key, size in sizes.items()
    }
    return ShrinkingStage(name, enabled, sorts)


def _decisions_by_axis(model: keras.Model) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {axis: [] for axis in AXES}
    for layer in walk_layers(model):
        axes: Any = getattr(layer, "axis_decisions", None)
        if axes is None or not isinstance(layer, SearchableLayer):
            continue
        for axis, decision in axes().items():
            if decision.name not in found[axis]:
                found[axis].append(decision.name)
    return found
