"""The four networks and the settings of their training."""

from dataclasses import dataclass
from typing import Any

CLASSES = 10
BATCH = 64
STREAMS = ((16, 1, 1), (32, 2, 2), (56, 2, 2), (96, 2, 2))


@dataclass(frozen=True)
class Setting:
    """One network, its data and how long it is trained.

    Args:
        title: For the tables.
        data: "images-48", "images-28", "pixels" or "speech".
        samples: Number of training samples.
        epochs: Epochs up to the starting point of all arms.
        arm_epochs: Epochs of an arm after it.
        rate: Learning rate of Adam at the beginning of each fit, which falls
            to 2 % of it along a cosine.
    """

    title: str
    data: str
    samples: int
    epochs: int
    arm_epochs: int
    rate: float = 1e-3


SETTINGS = {
    "mobile": Setting(
        "MobileNetV2-like, images 48x48", "images-48", 5_000, 8, 6, 3e-3
    ),
    "speech": Setting("DS-CNN, keywords", "speech", 5_760, 12, 6, 3e-3),
    "cnn": Setting("CNN, images 28x28", "images-28", 12_000, 8, 6),
    "mlp": Setting("MLP 784-300-100-10", "pixels", 30_000, 8, 6),
}


def build(kind: str) -> Any:
    """Returns a new network that gives logits, not compiled.

    Args:
        kind: A key of `SETTINGS`.
    """
    return {
        "mobile": _build_mobile,
        "speech": _build_speech,
        "cnn": _build_cnn,
        "mlp": _build_mlp,
    }[kind]()


def compile_model(model: Any, rate: Any) -> None:
    """Compiles with Adam and cross-entropy on the logits."""
    import keras

    model.compile(
        keras.optimizers.Adam(rate),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )


def _build_mobile() -> Any:
    """MobileNetV2-like: inverted residuals, 92,394 parameters."""
    import keras
    from keras import layers

    inputs = keras.Input((48, 48, 1))
    x = _normalized(
        layers.Conv2D(16, 3, 2, padding="same", use_bias=False), inputs
    )
    for width, count, stride in STREAMS:
        for i in range(count):
            x = _inverted_residual(x, width, 1 if i else stride)
    return _classifier(inputs, x)


def _inverted_residual(x: Any, width: int, stride: int) -> Any:
    from keras import layers

    source = x.shape[-1]
    # As in MobileNetV2, the first block does not expand.
    y, wide = x, source if width == STREAMS[0][0] else 4 * source
    if wide != source:
        y = _normalized(layers.Conv2D(wide, 1, use_bias=False), y)
    depthwise = layers.DepthwiseConv2D(
        3, stride, padding="same", use_bias=False
    )
    y = _normalized(depthwise, y)
    y = layers.Conv2D(width, 1, use_bias=False)(y)
    y = layers.BatchNormalization(momentum=0.9)(y)
    same = stride == 1 and source == width
    return layers.Add()([x, y]) if same else y


def _build_speech() -> Any:
    """DS-CNN (Zhang et al., 2017): a convolution and four separable ones."""
    import keras
    from keras import layers

    inputs = keras.Input((48, 20, 1))
    x = _normalized(
        layers.Conv2D(64, (10, 4), 2, padding="same", use_bias=False), inputs
    )
    for stride in (1, 2, 1, 1):
        depthwise = layers.DepthwiseConv2D(
            3, stride, padding="same", use_bias=False
        )
        x = _normalized(depthwise, x)
        x = _normalized(layers.Conv2D(64, 1, use_bias=False), x)
    return _classifier(inputs, x)


def _build_cnn() -> Any:
    import keras
    from keras import layers

    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(CLASSES),
        ]
    )


def _build_mlp() -> Any:
    import keras
    from keras import layers

    return keras.Sequential(
        [
            keras.Input((784,)),
            layers.Dense(300, activation="relu"),
            layers.Dense(100, activation="relu"),
            layers.Dense(CLASSES),
        ]
    )


def _normalized(layer: Any, x: Any) -> Any:
    from keras import layers

    x = layers.BatchNormalization(momentum=0.9)(layer(x))
    return layers.ReLU(6.0)(x)


def _classifier(inputs: Any, x: Any) -> Any:
    import keras
    from keras import layers

    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(CLASSES)(x))
