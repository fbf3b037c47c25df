"""Tests for keras_netopt.quantization.grids."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_netopt.quantization import grids

GRIDS = [(8, "max"), (4, "max"), (3, "max"), (3, "mse"), (2, "twn")]
CHANNELS = 4096


def make_kernel(seed=0):
    """Channels of all sizes, some of zeros, some with many zeros."""
    rng = np.random.default_rng(seed)
    kernel = rng.normal(size=(9, CHANNELS))
    kernel *= np.exp(3 * rng.normal(size=CHANNELS))
    kernel[rng.random(kernel.shape) < 0.3] = 0.0
    kernel[:, :4] = 0.0
    return kernel.astype("float32")


def quantize(kernel, bits, method, axes=(1,)):
    """Runs on the backend, compiled where the backend compiles."""

    def run(tensor):
        scale = grids.find_scale(tensor, axes, bits, method)
        return grids.round_to_grid(tensor, scale, bits)

    if keras.backend.backend() == "jax":
        import jax

        run = jax.jit(run)
    return ops.convert_to_numpy(run(ops.convert_to_tensor(kernel)))


@pytest.mark.parametrize(("bits", "method"), GRIDS)
def test_a_grid_is_found_again_bit_for_bit(bits, method):
    # A scale with all mantissa bits fails on JAX.
    on_grid = quantize(make_kernel(), bits, method)
    np.testing.assert_array_equal(quantize(on_grid, bits, method), on_grid)
    assert not np.signbit(on_grid[on_grid == 0]).any()
    assert grids.find_bits(on_grid, (1,)) == bits
    integers, scale = grids.find_integers(on_grid, (1,), bits)
    assert integers.dtype == np.int8 and np.abs(integers).max() <= 127
    np.testing.assert_array_equal(integers * scale, on_grid)
    top = np.abs(on_grid).max(axis=0)
    live = top > 0
    limit = np.float32(grids.find_limit(bits))
    np.testing.assert_array_equal(top[live] / limit, scale[0, live])


@pytest.mark.parametrize(("bits", "method"), GRIDS)
def test_a_channel_always_saturates(bits, method):
    kernel = make_kernel(1)
    integers, _ = grids.find_integers(
        quantize(kernel, bits, method), (1,), bits
    )
    live = np.abs(kernel).max(axis=0) > 0
    limit = grids.find_limit(bits)
    assert (np.abs(integers).max(axis=0)[live] == limit).all()


def test_the_best_scale_has_the_smaller_error():
    kernel = make_kernel(2)
    errors = {
        method: np.square(quantize(kernel, 3, method) - kernel).sum(axis=0)
        for method in ("max", "mse")
    }
    assert (errors["mse"] <= errors["max"] * 1.0001).all()
    assert errors["mse"].sum() < 0.9 * errors["max"].sum()


@pytest.mark.no_backend
def test_a_ternary_scale_is_the_mean_of_the_large_weights():
    kernel = np.array([[0.0], [0.1], [-0.2], [1.0], [0.8]], "float32")
    scale = grids.find_scale(kernel, (1,), 2, "twn")
    np.testing.assert_allclose(scale, [[0.9]], rtol=1e-4)


@pytest.mark.no_backend
def test_many_equal_weights_keep_their_scale():
    # A plain sum of 100,000 equal numbers is not their product.
    kernel = np.full((100_003, 2), 0.1, "float32")
    kernel = grids.round_to_grid(kernel, np.float32(0.100006103515625), 2)
    scale = grids.find_scale(kernel, (1,), 2, "twn")
    np.testing.assert_array_equal(scale[0], kernel[0])


@pytest.mark.no_backend
def test_only_kernels_on_a_grid_are_recognized():
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(64, 8)).astype("float32")
    assert grids.find_bits(kernel, (1,)) is None
    assert grids.find_bits(kernel.astype("float64"), (1,)) is None
    assert grids.find_bits(np.zeros((3, 2), "float32"), (1,)) == 2
    assert grids.find_bits(np.full((3, 2), np.nan, "float32"), (1,)) is None
    scale = grids.find_scale(kernel, (1,), 4)
    on_grid = grids.round_to_grid(kernel, scale, 4)
    assert grids.find_bits(on_grid, (1,)) == 4
    assert grids.find_bits(on_grid, (0,)) is None
    on_grid[5, 3] = np.nextafter(on_grid[5, 3], np.float32(9))
    assert grids.find_bits(on_grid, (1,)) is None


def test_the_axes_are_the_output_axes():
    layers, cases = keras.layers, []
    image, image1d = (None, 6, 6, 4), (None, 6, 4)

    def add(layer, shape, name, axes):
        if not layer.built:
            layer.build(shape)
        variable = next(v for v in layer.weights if v.name == name)
        cases.append((layer, variable, axes))

    add(layers.Dense(3), (None, 4), "kernel", (1,))
    add(layers.Conv1D(3, 2), image1d, "kernel", (2,))
    add(layers.Conv2D(3, 2), image, "kernel", (3,))
    add(layers.Conv1DTranspose(3, 2), image1d, "kernel", (1,))
    add(layers.Conv2DTranspose(3, 2), image, "kernel", (2,))
    add(layers.DepthwiseConv1D(2), image1d, "kernel", (1, 2))
    add(layers.DepthwiseConv2D(2), image, "kernel", (2, 3))
    separable = layers.SeparableConv2D(3, 2)
    add(separable, image, "depthwise_kernel", (2, 3))
    add(separable, image, "pointwise_kernel", (3,))
    heads = layers.EinsumDense("abc,cde->abde", (None, 2, 5))
    add(heads, (None, 6, 4), "kernel", (1, 2))
    merge = layers.EinsumDense("abde,dec->abc", (None, 3))
    add(merge, (None, 6, 2, 5), "kernel", (2,))
    table = layers.Embedding(7, 3)
    add(table, (None, 6), "embeddings", (0,))
    cell = layers.LSTMCell(3)
    add(cell, (None, 4), "recurrent_kernel", (1,))
    for layer, variable, axes in cases:
        assert grids.channel_axes(variable, layer) == axes, layer.name
