"""Small networks that decide from a block's input whether it should run."""

from typing import Any

import keras
from keras import layers


def default_gate(rank: int, width: int = 10) -> keras.Layer:
    """Makes a gate for inputs of a rank: one logit a sample.

    Images (rank 4) are pooled and convolved twice, sequences (rank 3) are
    averaged over time; a small dense network follows. It starts open.

    Example:

    >>> import keras
    >>> gate = default_gate(3)
    >>> gate.build((None, 6, 4))
    >>> gate.compute_output_shape((None, 6, 4))
    (None, 1)

    Args:
        rank: Number of axes of the inputs, the batch included: 2, 3 or 4.
        width: Hidden units or filters. Defaults to `10`.

    Returns:
        A model that is not built.

    Raises:
        ValueError: If no gate is known for the rank.

    Reference:
        Wang et al., "SkipNet: Learning dynamic routing in convolutional
        networks", 2018, https://arxiv.org/abs/1711.09485.
    """
    if rank not in (2, 3, 4):
        raise ValueError(
            "Argument `gate` must be a layer where inputs are neither vectors, "
            'sequences nor images: "auto" knows rank 2, 3 and 4. '
            f"Received: gate='auto' with inputs of rank {rank}"
        )
    # Names of its own: TensorFlow's optimizer of graphs sorts by name, and
    # numbered ones differ between the process that saves and the one that
    # loads.
    head = layers.Dense(
        1, bias_initializer="ones", dtype="float32", name="logit"
    )
    hidden = layers.Dense(width, activation="relu", name="hidden")
    if rank == 2:
        inner = [hidden]
    elif rank == 3:
        inner = [layers.GlobalAveragePooling1D(name="mean"), hidden]
    else:
        inner = [
            layers.MaxPooling2D(2, padding="same", name="pool"),
            *_convolution(width, 1),
            *_convolution(width, 2),
            layers.GlobalAveragePooling2D(name="mean"),
        ]
    return keras.Sequential([*inner, head], name="gate")


def _convolution(width: int, strides: int) -> list[Any]:
    return [
        layers.Conv2D(
            width,
            3,
            strides=strides,
            padding="same",
            use_bias=False,
            name=f"conv_{strides}",
        ),
        layers.BatchNormalization(momentum=0.9, name=f"norm_{strides}"),
        layers.ReLU(name=f"relu_{strides}"),
    ]
