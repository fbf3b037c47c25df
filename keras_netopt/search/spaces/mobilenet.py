"""Networks of inverted residual blocks."""

from collections.abc import Mapping
from typing import Any

from keras import layers

from keras_netopt.search.spaces.head import check_head
from keras_netopt.search.spaces.image_layers import MOMENTUM, conv_norm
from keras_netopt.search.spaces.options import check_sizes, choose
from keras_netopt.search.spaces.space import Choices, Space, check_shape
from keras_netopt.search.spaces.stages import choose_stages, scale_stages


def mobilenet(
    input_shape: Any,
    outputs: int,
    *,
    task: str = "classification",
    stages: Any = 3,
    blocks: Any = (1, 2, 3),
    width: Any = (8, 16, 24),
    kernel: Any = (3, 5),
    expansion: Any = (2, 4, 6),
    stem_strides: Any = 2,
    learning_rate: Any = 1e-3,
) -> Space:
    """Search space of MobileNetV2's inverted residual blocks.

    A block expands the channels, filters each one by itself, and projects
    them to the width of the stage. Each stage but the first halves the
    resolution and has twice the channels to choose from.

    Hyperparameters: "stages", "stem_strides", "stage1/blocks",
    "stage1/width", and for each block "stage1/block1/kernel" and
    "stage1/block1/expansion". Those of a stage or block are searched only if
    it exists; an argument with one value is not searched.

    Example:

    >>> from keras_netopt.search import spaces
    >>> space = spaces.mobilenet(
    ...     (28, 28, 1), 10, stages=1, blocks=(1, 2), width=8, kernel=3
    ... )
    >>> space.defaults()
    {'stage1/blocks': 1, 'stage1/block1/expansion': 4}

    Args:
        input_shape: Height, width and channels of an image or spectrogram.
        outputs: Number of classes (their logits are the output), or of
            numbers in a regression.
        task: "classification" with integer labels, "regression", or
            "detection": class logits "class" and "box" in [0, 1]. Defaults
            to `"classification"`.
        stages: Number of stages, an integer or several to search. Defaults
            to `3`.
        blocks: Blocks of a stage, likewise. Defaults to `(1, 2, 3)`.
        width: Channels of the first stage, likewise; of stage i times
            2**(i - 1). Defaults to `(8, 16, 24)`.
        kernel: Size of a block's depthwise convolution, likewise. Defaults
            to `(3, 5)`.
        expansion: Channels inside a block as a multiple of those of its
            input, likewise. Defaults to `(2, 4, 6)`.
        stem_strides: Strides of the first convolution, likewise. Defaults
            to `2`.
        learning_rate: Learning rate of Adam, or the lowest and the highest
            one to search between. Defaults to `1e-3`.

    Returns:
        A function `build(hp)`, a `Space`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range.

    Reference:
        Sandler et al., "MobileNetV2: Inverted Residuals and Linear
        Bottlenecks", 2018, https://arxiv.org/abs/1801.04381; Cai et al.,
        "Once-for-All", 2019, https://arxiv.org/abs/1908.09791.
    """
    return Space(
        choose=_choose,
        connect=_connect,
        settings={
            "stages": check_sizes(stages, "stages"),
            "blocks": check_sizes(blocks, "blocks"),
            "width": check_sizes(width, "width"),
            "kernel": check_sizes(kernel, "kernel"),
            "expansion": check_sizes(expansion, "expansion"),
            "stem_strides": check_sizes(stem_strides, "stem_strides"),
        },
        head=check_head(task, outputs, image=True),
        input_shape=check_shape(input_shape, "input_shape", 3),
        learning_rate=learning_rate,
        scale=scale_stages,
        name="mobilenet",
    )


def _choose(hp: Any, settings: Mapping[str, Any]) -> Choices:
    strides = choose(hp, "stem_strides", settings["stem_strides"])
    stages = choose_stages(hp, settings, of_block=("kernel", "expansion"))
    return {"stem_strides": strides, "stages": stages}


def _connect(x: Any, choices: Choices) -> Any:
    stages = choices["stages"]
    strides = choices["stem_strides"]
    x = conv_norm(x, stages[0]["width"], 3, "stem", strides=strides)
    x = layers.ReLU(6.0, name="stem_relu")(x)
    for i, stage in enumerate(stages):
        for k, block in enumerate(stage["each"]):
            name = f"stage{i + 1}_block{k + 1}"
            strides = 2 if i and not k else 1
            x = _block(x, stage["width"], block, strides, name)
    return x


def _block(x: Any, width: int, block: Choices, strides: int, name: str) -> Any:
    y = x
    if block["expansion"] > 1:
        wide = block["expansion"] * x.shape[-1]
        y = conv_norm(y, wide, 1, f"{name}_expand")
        y = layers.ReLU(6.0, name=f"{name}_expand_relu")(y)
    y = layers.DepthwiseConv2D(
        block["kernel"],
        strides,
        padding="same",
        use_bias=False,
        name=f"{name}_depthwise",
    )(y)
    y = layers.BatchNormalization(
        momentum=MOMENTUM, name=f"{name}_depthwise_norm"
    )(y)
    y = layers.ReLU(6.0, name=f"{name}_depthwise_relu")(y)
    y = conv_norm(y, width, 1, f"{name}_project")
    if strides > 1 or x.shape[-1] != width:
        return y
    return layers.Add(name=f"{name}_add")([x, y])
