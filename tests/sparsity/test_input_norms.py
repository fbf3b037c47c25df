import keras
import numpy as np
import pytest

from keras_netopt.sparsity import KernelView
from keras_netopt.sparsity.input_norms import square_sums

L = keras.layers


def by_gradient_free_probe(layer, inputs):
    """Sums of squares seen by each weight, from the layer's own forward pass.

    With one weight set to one and all others to zero, the sum of squared
    outputs is the sum of squared inputs that this weight meets.
    """
    kernel = layer.weights[0]
    shape = tuple(kernel.shape)
    found = np.zeros(shape)
    for index in np.ndindex(*shape):
        probe = np.zeros(shape, "float32")
        probe[index] = 1.0
        kernel.assign(probe)
        outputs = keras.ops.convert_to_numpy(layer(inputs))
        found[index] = np.square(outputs.astype("float64")).sum()
    return found


CASES = {
    "dense": (L.Dense(2, use_bias=False), (3, 4)),
    "dense on a sequence": (L.Dense(2, use_bias=False), (3, 5, 4)),
    "conv1d": (L.Conv1D(2, 3, use_bias=False), (2, 7, 3)),
    "conv1d causal": (
        L.Conv1D(2, 3, padding="causal", use_bias=False),
        (2, 7, 3),
    ),
    "conv2d same, strided": (
        L.Conv2D(2, (3, 2), strides=2, padding="same", use_bias=False),
        (2, 6, 5, 2),
    ),
    "conv2d valid, strided": (
        L.Conv2D(2, 2, strides=(3, 2), use_bias=False),
        (2, 7, 6, 2),
    ),
    "conv2d dilated": (
        L.Conv2D(2, 2, dilation_rate=2, padding="same", use_bias=False),
        (2, 5, 6, 2),
    ),
    "grouped": (L.Conv1D(4, 2, groups=2, use_bias=False), (2, 5, 4)),
    "conv3d": (L.Conv3D(1, 2, use_bias=False), (1, 3, 3, 3, 2)),
    "transposed": (L.Conv1DTranspose(2, 3, use_bias=False), (2, 4, 3)),
    "query": (L.EinsumDense("abc,cde->abde", (None, 2, 2)), (2, 3, 3)),
    "attention output": (
        L.EinsumDense("abcd,cde->abe", (None, 3)),
        (2, 3, 2, 2),
    ),
    "turned around": (L.EinsumDense("abcd,dce->abe", (None, 3)), (2, 3, 2, 4)),
    "ellipsis": (L.EinsumDense("...x,xy->...y", 2), (2, 3, 4)),
    "ellipsis at the end": (
        L.EinsumDense("bx...,xy->by...", (2, 3)),
        (2, 4, 3),
    ),
    "shared axis": (L.EinsumDense("abc,bcd->abd", (3, 2)), (2, 3, 4)),
}


@pytest.mark.parametrize("name", CASES)
def test_square_sums_equal_the_layers_own_forward_pass(name):
    layer, shape = CASES[name]
    inputs = np.random.default_rng(0).standard_normal(shape).astype("float32")
    layer(inputs)
    view = KernelView.of(layer.weights[0], layer)
    found = square_sums(layer, view, inputs)
    assert found.shape in ((view.fan_in, 1), (view.fan_in, view.fan_out))
    expected = view.to_2d(by_gradient_free_probe(layer, inputs))
    spread = np.broadcast_to(found, expected.shape)
    np.testing.assert_allclose(spread, expected, rtol=1e-4)


def test_channels_first():
    layer = L.Conv2D(2, 2, data_format="channels_first")
    last = L.Conv2D(2, 2, data_format="channels_last")
    layer.build((None, 3, 6, 5))
    last.build((None, 6, 5, 3))
    inputs = np.random.default_rng(0).standard_normal((2, 6, 5, 3))
    view = KernelView.of(last.kernel, last)
    np.testing.assert_array_equal(
        square_sums(layer, view, np.moveaxis(inputs, -1, 1)),
        square_sums(last, view, inputs),
    )
