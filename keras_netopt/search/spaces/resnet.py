"""Residual networks of basic blocks."""

from collections.abc import Mapping
from typing import Any

from keras import layers

from keras_netopt.search.spaces.head import check_head
from keras_netopt.search.spaces.image_layers import conv_norm
from keras_netopt.search.spaces.options import check_sizes, choose
from keras_netopt.search.spaces.space import Choices, Space, check_shape
from keras_netopt.search.spaces.stages import choose_stages, scale_stages


def resnet(
    input_shape: Any,
    outputs: int,
    *,
    task: str = "classification",
    stages: Any = 3,
    blocks: Any = (1, 2, 3),
    width: Any = (8, 16, 32),
    kernel: Any = 3,
    stem_strides: Any = 1,
    learning_rate: Any = 1e-3,
) -> Space:
    """Search space of residual networks with basic blocks.

    A stage repeats a block of two convolutions and a shortcut; each stage
    but the first halves the resolution and has twice the channels to choose
    from.

    Hyperparameters: "stages", "stem_strides", and for each stage
    "stage1/blocks", "stage1/width" and "stage1/kernel". Those of a stage are
    searched only if the stage exists; an argument with one value is not
    searched.

    Example:

    >>> from keras_netopt.search import spaces
    >>> space = spaces.resnet((28, 28, 1), 10, stages=2, width=8)
    >>> space.defaults()
    {'stage1/blocks': 2, 'stage2/blocks': 2}

    Args:
        input_shape: Height, width and channels of an image.
        outputs: Number of classes (their logits are the output), or of
            numbers in a regression.
        task: "classification" with integer labels, "regression", or
            "detection": class logits "class" and "box" in [0, 1]. Defaults
            to `"classification"`.
        stages: Number of stages, an integer or several to search. Defaults
            to `3`.
        blocks: Blocks of a stage, likewise. Defaults to `(1, 2, 3)`.
        width: Channels of the first stage, likewise; of stage i times
            2**(i - 1). Defaults to `(8, 16, 32)`.
        kernel: Size of the convolutions of a stage, likewise. Defaults to
            `3`.
        stem_strides: Strides of the first convolution, likewise. Defaults
            to `1`.
        learning_rate: Learning rate of Adam, or the lowest and the highest
            one to search between. Defaults to `1e-3`.

    Returns:
        A function `build(hp)`, a `Space`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range.

    Reference:
        He et al., "Deep Residual Learning for Image Recognition", 2015,
        https://arxiv.org/abs/1512.03385.
    """
    return Space(
        choose=_choose,
        connect=_connect,
        settings={
            "stages": check_sizes(stages, "stages"),
            "blocks": check_sizes(blocks, "blocks"),
            "width": check_sizes(width, "width"),
            "kernel": check_sizes(kernel, "kernel"),
            "stem_strides": check_sizes(stem_strides, "stem_strides"),
        },
        head=check_head(task, outputs, image=True),
        input_shape=check_shape(input_shape, "input_shape", 3),
        learning_rate=learning_rate,
        scale=scale_stages,
        name="resnet",
    )


def _choose(hp: Any, settings: Mapping[str, Any]) -> Choices:
    strides = choose(hp, "stem_strides", settings["stem_strides"])
    stages = choose_stages(hp, settings, of_stage=("kernel",))
    return {"stem_strides": strides, "stages": stages}


def _connect(x: Any, choices: Choices) -> Any:
    stages = choices["stages"]
    strides = choices["stem_strides"]
    x = conv_norm(x, stages[0]["width"], 3, "stem", strides=strides)
    x = layers.ReLU(name="stem_relu")(x)
    for i, stage in enumerate(stages):
        for k in range(stage["blocks"]):
            name = f"stage{i + 1}_block{k + 1}"
            strides = 2 if i and not k else 1
            x = _block(x, stage["width"], stage["kernel"], strides, name)
    return x


def _block(x: Any, width: int, kernel: int, strides: int, name: str) -> Any:
    y = conv_norm(x, width, kernel, f"{name}_a", strides=strides)
    y = layers.ReLU(name=f"{name}_a_relu")(y)
    y = conv_norm(y, width, kernel, f"{name}_b")
    if strides > 1 or x.shape[-1] != width:
        x = conv_norm(x, width, 1, f"{name}_shortcut", strides=strides)
    y = layers.Add(name=f"{name}_add")([x, y])
    return layers.ReLU(name=f"{name}_relu")(y)
