"""The default gate of `SkipGate`."""

from typing import Any

import keras
from keras import layers


def default_gate(rank: int, width: int = 10) -> keras.Layer:
    """Makes a gate with one logit per sample.

    Images (rank 4) pass pooling and two convolutions, sequences (rank 3) a
    mean over time; a small dense network follows. The gate is open
    initially.

    Example:

    >>> import keras
    >>> gate = default_gate(3)
    >>> gate.build((None, 6, 4))
    >>> gate.compute_output_shape((None, 6, 4))
    (None, 1)

    Args:
        rank: Number of axes of the inputs, batch axis included: 2, 3 or 4.
        width: Hidden units or filters. Defaults to `10`.

    Returns:
        An unbuilt model.

    Raises:
        ValueError: If the rank has no default gate.

    Reference:
        Wang et al., "SkipNet: Learning dynamic routing in convolutional
        networks", 2018, https://arxiv.org/abs/1711.09485.
    """
    if rank not in (2, 3, 4):
        raise ValueError(
            'Argument `gate` must be a layer: "auto" supports vectors, '
            "sequences and images, rank 2, 3 and 4. "
            f"Received: gate='auto' with inputs of rank {rank}"
        )
    # Explicit names: TensorFlow's graph optimizer sorts by name, and numbered
    # names differ between the process that saves and the one that loads.
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
