"""A residual network of 4,608 options for images of 14 x 14 pixels."""

from typing import Any

import keras
from keras import layers

WIDTHS = (6, 8, 12, 16)


def build(hp: Any) -> keras.Model:
    """Returns a compiled network; the defaults are the base network.

    Two stages, at 14 x 14 or 7 x 7 and at half of that.
    """
    inputs = keras.Input((14, 14, 1))
    stride = hp.Choice("stem_stride", [1, 2], ordered=True, default=1)
    x = layers.Conv2D(16, 3, strides=stride, padding="same", use_bias=False)(
        inputs
    )
    x = _normalize(x)
    for stage in (1, 2):
        kind = hp.Choice(f"op_{stage}", ["conv", "separable", "bottleneck"])
        width = stage * hp.Choice(
            f"width_{stage}", list(WIDTHS), ordered=True, default=16
        )
        depth = hp.Choice(f"depth_{stage}", [1, 2], ordered=True, default=2)
        kernel = hp.Choice(f"kernel_{stage}", [3, 5], ordered=True, default=3)
        for i in range(depth):
            first = stage == 2 and i == 0
            x = _block(x, kind, width, kernel, 2 if first else 1)
    x = layers.GlobalAveragePooling2D()(x)
    outputs = layers.Dense(10)(x)
    model = keras.Model(inputs, outputs)
    compile_model(model)
    return model


def compile_model(model: keras.Model, steps: int = 1_000) -> None:
    """Compiles with the recipe of the benchmark."""
    rate = keras.optimizers.schedules.CosineDecay(3e-3, steps)
    model.compile(
        keras.optimizers.Adam(rate),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )


def _block(x: Any, kind: str, width: int, kernel: int, stride: int) -> Any:
    shortcut = x
    options = {"strides": stride, "padding": "same", "use_bias": False}
    if kind == "conv":
        y = layers.Conv2D(width, kernel, **options)(x)
    elif kind == "separable":
        y = layers.DepthwiseConv2D(kernel, **options)(x)
        y = layers.Conv2D(width, 1, use_bias=False)(y)
    else:
        y = layers.Conv2D(max(width // 2, 4), 1, use_bias=False)(x)
        y = layers.ReLU()(_normalize_only(y))
        y = layers.Conv2D(width, kernel, **options)(y)
    y = _normalize_only(y)
    if shortcut.shape[1:] == y.shape[1:]:
        y = layers.Add()([shortcut, y])
    return layers.ReLU()(y)


def _normalize(x: Any) -> Any:
    return layers.ReLU()(_normalize_only(x))


def _normalize_only(x: Any) -> Any:
    return layers.BatchNormalization(momentum=0.9)(x)
