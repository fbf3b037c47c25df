"""Random small nets: whatever the layers, the function is kept."""

import keras
import numpy as np
import pytest
from keras import layers as L

NETS = 10 if keras.backend.backend() == "jax" else 50


def convolution(rng, tensors):
    return L.Conv2D(int(rng.integers(2, 7)), 3, padding="same")(tensors[-1])


def separable(rng, tensors):
    return L.SeparableConv2D(int(rng.integers(2, 7)), 2, padding="same")(
        tensors[-1]
    )


def transposed(rng, tensors):
    width = int(rng.integers(2, 7))
    return L.Conv2DTranspose(width, 2, padding="same")(tensors[-1])


def depthwise(rng, tensors):
    times = int(rng.integers(1, 3))
    return L.DepthwiseConv2D(
        2, padding="same", depth_multiplier=times, activation="sigmoid"
    )(tensors[-1])


def norm(rng, tensors):
    return L.BatchNormalization(momentum=0.9)(tensors[-1])


def slopes(rng, tensors):
    return L.PReLU(shared_axes=[1, 2])(tensors[-1])


def addition(rng, tensors):
    other = tensors[rng.integers(len(tensors))]
    width = tensors[-1].shape[-1]
    if other.shape[-1] != width:
        other = L.Conv2D(width, 1)(other)
    merge = [L.Add, L.Multiply, L.Maximum][rng.integers(3)]
    return merge()([tensors[-1], other])


def concatenation(rng, tensors):
    other = tensors[rng.integers(len(tensors))]
    if other.shape[-1] + tensors[-1].shape[-1] > 16:
        return L.ReLU()(tensors[-1])
    return L.Concatenate()([other, tensors[-1]])


def gate(rng, tensors):
    width = tensors[-1].shape[-1]
    s = L.GlobalAveragePooling2D()(tensors[-1])
    s = L.Dense(3, activation="relu")(s)
    s = L.Dense(width, activation="sigmoid")(s)
    return L.Multiply()([tensors[-1], L.Reshape((1, 1, width))(s)])


def nested(rng, tensors):
    width = tensors[-1].shape[-1]
    inner = keras.Sequential(
        [
            L.Input((5, 5, width)),
            L.Conv2D(width, 2, padding="same"),
            L.Activation("tanh"),
        ]
    )
    calls = int(rng.integers(1, 3))
    y = tensors[-1]
    for _ in range(calls):
        y = inner(y)
    return y


def shared(rng, tensors):
    width = tensors[-1].shape[-1]
    conv = L.Conv2D(width, 2, padding="same", activation="relu")
    return conv(conv(tensors[-1]))


BLOCKS = (
    *(convolution, separable, transposed, depthwise, norm, slopes),
    *(addition, concatenation, gate, nested, shared),
)


def random_net(seed):
    rng = np.random.default_rng(seed)
    x = L.Input((5, 5, 2))
    tensors = [L.Conv2D(4, 3, padding="same")(x)]
    for _ in range(rng.integers(3, 8)):
        block = BLOCKS[rng.integers(len(BLOCKS))]
        tensors.append(block(rng, tensors))
    y = L.Dropout(0.2)(tensors[-1])
    y = [L.Flatten, L.GlobalAveragePooling2D][rng.integers(2)]()(y)
    y = L.Dense(6, activation="tanh")(y)
    data = rng.normal(size=(3, 5, 5, 2)).astype("float32")
    return keras.Model(x, L.Dense(2)(y)), data


@pytest.mark.parametrize("seed", range(NETS))
def test_random_net_is_cut_exactly(seed, check_edit):
    check_edit(*random_net(seed), seed=seed)
