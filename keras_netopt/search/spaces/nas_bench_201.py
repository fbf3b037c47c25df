"""The cell of NAS-Bench-201."""

from collections.abc import Mapping
from typing import Any

from keras import layers

from keras_netopt.search.scaling.compound_scale_factors import CompoundScale
from keras_netopt.search.spaces.head import check_head
from keras_netopt.search.spaces.image_layers import conv_norm, norm_relu
from keras_netopt.search.spaces.options import check_labels, check_sizes, choose
from keras_netopt.search.spaces.space import Choices, Space, check_shape

# (from, to) in the order of the table.
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
OPERATIONS = (
    "none",
    "skip_connect",
    "nor_conv_1x1",
    "nor_conv_3x3",
    "avg_pool_3x3",
)
# The residual block of ResNet: two convolutions and the identity.
RESIDUAL = dict(
    zip(
        EDGES,
        ("nor_conv_3x3", "none", "nor_conv_3x3", "skip_connect", "none")
        + ("skip_connect",),
        strict=True,
    )
)
Operations = Mapping[tuple[int, int], str]


def nas_bench_201(
    input_shape: Any,
    outputs: int,
    *,
    task: str = "classification",
    channels: Any = 16,
    cells: Any = 5,
    stages: Any = 3,
    operations: Any = OPERATIONS,
    learning_rate: Any = 1e-3,
) -> Space:
    """Search space of NAS-Bench-201: one cell of six edges, 15,625 networks.

    A cell has four nodes; each node is the sum of an operation on every
    earlier node. A stage repeats the cell; a residual block between stages
    halves the resolution and doubles the channels. Operations that cannot
    influence the output, behind or in front of "none", are left out; a cell
    without any path returns zeros. Convolutions are ReLU, convolution, batch
    normalization, as in the reference.

    Hyperparameters: "cell/edge0-1" to "cell/edge2-3" (from node, to node).

    Example:

    >>> from keras_netopt.search import spaces
    >>> space = spaces.nas_bench_201((8, 8, 1), 10, channels=4, cells=1)
    >>> space.defaults()["cell/edge0-1"]
    'nor_conv_3x3'
    >>> space.model({"cell/edge0-1": "avg_pool_3x3"}).output_shape
    (None, 10)

    Args:
        input_shape: Height, width and channels of an image.
        outputs: Number of classes (their logits are the output), or of
            numbers in a regression.
        task: "classification" with integer labels, "regression", or
            "detection": class logits "class" and "box" in [0, 1]. Defaults
            to `"classification"`.
        channels: Channels of the first stage, an integer or several to
            search. Defaults to `16`.
        cells: Cells of a stage, likewise. Defaults to `5`.
        stages: Number of stages, likewise. Defaults to `3`.
        operations: Names of the operations to choose from. Defaults to all
            five.
        learning_rate: Learning rate of Adam, or the lowest and the highest
            one to search between. Defaults to `1e-3`.

    Returns:
        A function `build(hp)`, a `Space`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or `operations` has fewer
            than two names.

    Reference:
        Dong and Yang, "NAS-Bench-201: Extending the Scope of Reproducible
        Neural Architecture Search", 2020, https://arxiv.org/abs/2001.00326.
    """
    names = check_labels(operations, "operations", OPERATIONS)
    if len(names) < 2:
        raise ValueError(
            "Argument `operations` must name at least two operations. "
            f"Received: operations={operations!r}"
        )
    return Space(
        choose=_choose,
        connect=_connect,
        settings={
            "channels": check_sizes(channels, "channels"),
            "cells": check_sizes(cells, "cells"),
            "stages": check_sizes(stages, "stages"),
            "operations": names,
        },
        head=check_head(task, outputs, image=True),
        input_shape=check_shape(input_shape, "input_shape", 3),
        learning_rate=learning_rate,
        scale=_scale,
        name="nas_bench_201",
    )


def effective_edges(operations: Operations) -> list[tuple[int, int]]:
    """Returns the edges that lie on a path from the input to the output."""
    edges = [edge for edge in EDGES if operations[edge] != "none"]
    reached, needed = {0}, {3}
    for source, target in edges:  # Sources of a node come before it.
        if source in reached:
            reached.add(target)
    for source, target in reversed(edges):
        if target in needed:
            needed.add(source)
    return [e for e in edges if e[0] in reached and e[1] in needed]


def _choose(hp: Any, settings: Mapping[str, Any]) -> Choices:
    names = settings["operations"]
    choices: Choices = {
        name: choose(hp, name, settings[name])
        for name in ("stages", "cells", "channels")
    }
    choices["operations"] = {
        edge: choose(hp, f"cell/edge{edge[0]}-{edge[1]}", names, RESIDUAL[edge])
        for edge in EDGES
    }
    return choices


def _scale(choices: Choices, scale: CompoundScale) -> Choices:
    return {
        **choices,
        "cells": scale.repeats(choices["cells"]),
        "channels": scale.channels(choices["channels"]),
    }


def _connect(x: Any, choices: Choices) -> Any:
    x = conv_norm(x, choices["channels"], 3, "stem")
    for stage in range(choices["stages"]):
        name = f"stage{stage + 1}"
        channels = choices["channels"] * 2**stage
        if stage:
            x = _reduce(x, channels, f"{name}_reduction")
        for cell in range(choices["cells"]):
            operations = choices["operations"]
            x = _cell(x, channels, operations, f"{name}_cell{cell + 1}")
    return norm_relu(x, "last")


def _cell(x: Any, channels: int, operations: Operations, name: str) -> Any:
    incoming: dict[int, list[Any]] = {1: [], 2: [], 3: []}
    nodes = {0: x}
    for source, target in effective_edges(operations):
        if source not in nodes:
            nodes[source] = _add(incoming[source], f"{name}_node{source}")
        incoming[target].append(
            _operation(
                nodes[source],
                channels,
                operations[source, target],
                f"{name}_edge{source}_{target}",
            )
        )
    if not incoming[3]:
        return layers.Rescaling(0.0, name=f"{name}_zeros")(x)
    return _add(incoming[3], f"{name}_node3")


def _operation(x: Any, channels: int, operation: str, name: str) -> Any:
    if operation == "skip_connect":
        return x
    if operation == "avg_pool_3x3":
        pool = layers.AveragePooling2D(
            3, strides=1, padding="same", name=f"{name}_pool"
        )
        return pool(x)
    return _relu_conv_norm(x, channels, int(operation[-1]), name)


def _reduce(x: Any, channels: int, name: str) -> Any:
    y = _relu_conv_norm(x, channels, 3, f"{name}_a", strides=2)
    y = _relu_conv_norm(y, channels, 3, f"{name}_b")
    x = layers.AveragePooling2D(2, padding="same", name=f"{name}_pool")(x)
    x = layers.Conv2D(channels, 1, use_bias=False, name=f"{name}_shortcut")(x)
    return layers.Add(name=f"{name}_add")([x, y])


def _relu_conv_norm(
    x: Any, channels: int, kernel: int, name: str, strides: int = 1
) -> Any:
    x = layers.ReLU(name=f"{name}_relu")(x)
    return conv_norm(x, channels, kernel, name, strides=strides)


def _add(tensors: list[Any], name: str) -> Any:
    return tensors[0] if len(tensors) == 1 else layers.Add(name=name)(tensors)
