import keras
import numpy as np
import pytest

from keras_netopt.sparsity import KernelView

L = keras.layers


def view_of(layer, input_shape, name="kernel"):
    if not layer.built:
        layer.build(input_shape)
    (variable,) = [v for v in layer.weights if v.name == name]
    return KernelView.of(variable, layer)


CASES = {
    "dense": (L.Dense(5), (None, 3), (3, 5, 3)),
    "conv1d": (L.Conv1D(5, 2), (None, 9, 3), (6, 5, 3)),
    "conv2d": (L.Conv2D(5, (2, 3)), (None, 9, 9, 4), (24, 5, 4)),
    "conv3d": (L.Conv3D(5, 2), (None, 9, 9, 9, 4), (32, 5, 4)),
    "grouped": (L.Conv2D(6, 3, groups=2), (None, 9, 9, 4), (18, 6, 2)),
    "transposed": (L.Conv2DTranspose(5, 3), (None, 9, 9, 4), (36, 5, 4)),
    "depthwise": (L.DepthwiseConv2D(3, depth_multiplier=2), (None, 9, 9, 4))
    + ((9, 8, 1),),
    "query": (L.EinsumDense("abc,cde->abde", (None, 2, 4)), (None, 5, 8))
    + ((8, 8, 8),),
    "attention output": (
        L.EinsumDense("abcd,cde->abe", (None, 7)),
        (None, 5, 2, 4),
        (8, 7, 8),
    ),
    "ellipsis": (L.EinsumDense("...x,xy->...y", 7), (None, 5, 4), (4, 7, 4)),
    "shared axis": (
        L.EinsumDense("abc,bcd->abd", (5, 7)),
        (None, 5, 4),
        (4, 35, 4),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_fan_in_fan_out_and_run(name):
    layer, input_shape, expected = CASES[name]
    view = view_of(layer, input_shape)
    assert (view.fan_in, view.fan_out, view.run) == expected


@pytest.mark.parametrize("name", CASES)
def test_round_trip(name):
    layer, input_shape, _ = CASES[name]
    view = view_of(layer, input_shape)
    array = np.arange(view.size).reshape(view.shape)
    matrix = view.to_2d(array)
    assert matrix.shape == (view.fan_in, view.fan_out)
    assert np.array_equal(view.from_2d(matrix), array)


def test_columns_of_a_convolution_are_filters():
    view = view_of(L.Conv2D(5, 2), (None, 9, 9, 3))
    array = np.arange(view.size).reshape(view.shape)
    filters = array[..., 2]
    assert np.array_equal(view.to_2d(array)[:, 2], filters.ravel())


def test_columns_of_a_transposed_convolution_are_filters():
    view = view_of(L.Conv2DTranspose(5, 2), (None, 9, 9, 3))
    array = np.arange(view.size).reshape(view.shape)
    filters = array[:, :, 2, :]
    assert np.array_equal(view.to_2d(array)[:, 2], filters.ravel())


def test_bias_of_rank_two_is_one_row():
    layer = L.EinsumDense("abc,cde->abde", (None, 2, 4), bias_axes="de")
    view = view_of(layer, (None, 5, 8), "bias")
    assert (view.fan_in, view.fan_out) == (1, 8)


def test_recurrent_kernels_are_matrices():
    cell = L.LSTMCell(4)
    assert view_of(cell, (None, 3), "recurrent_kernel").fan_out == 16
