"""MACs equal half of the FLOPs that torch counts in the same call."""

import keras
import numpy as np
import pytest

from keras_netopt.cost import summarize

L = keras.layers
pytestmark = pytest.mark.backend("torch")


def convolutions():
    x = y = keras.Input((9, 8, 4))
    y = L.Conv2D(6, 3, strides=2, padding="same")(y)
    y = L.DepthwiseConv2D(3, depth_multiplier=2)(y)
    y = L.Conv2D(8, 1, groups=4)(y)
    y = L.SeparableConv2D(5, 2, padding="same")(y)
    y = L.Conv2DTranspose(3, 2, strides=2)(y)
    return keras.Model(x, L.Dense(2)(L.GlobalAveragePooling2D()(y)))


def attention():
    x = y = keras.Input((7, 12))
    y = L.MultiHeadAttention(3, 4, value_dim=5)(y, y)
    y = L.GroupQueryAttention(4, 4, 2)(y, x)
    y = L.EinsumDense("btd,dhe->bthe", (7, 3, 5), bias_axes="e")(y)
    y = keras.ops.einsum("bthe,bshe->bhts", y, y)
    return keras.Model(x, L.Dense(2)(keras.ops.matmul(y, y)))


def sequences():
    x = y = keras.Input((10, 6))
    y = L.Conv1D(8, 3, dilation_rate=2)(y)
    y = L.TimeDistributed(L.Dense(4))(y)
    return keras.Model(x, L.Dot(-1)([y, y]))


@pytest.mark.parametrize("build", [convolutions, attention, sequences])
def test_macs_are_half_of_the_flops_of_torch(build):
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    model = build()
    x = np.ones((3, *model.input_shape[1:]), "float32")
    # It does not count the fused attention of CPUs.
    with (
        sdpa_kernel(SDPBackend.MATH),
        FlopCounterMode(display=False) as counter,
    ):
        model(torch.from_numpy(x), training=False)
    report = summarize(model)
    assert not report.unknown
    assert 2 * 3 * report.macs == counter.get_total_flops()
