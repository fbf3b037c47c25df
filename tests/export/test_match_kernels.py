"""Tests for the comparison of kernels with the weights of a file."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_netopt.cost.tflite_weights import StoredWeight
from keras_netopt.export.match_kernels import compare_integers, match_kernels
from keras_netopt.export.model_kernels import list_kernels
from keras_netopt.export.stored_kernel import (
    StoredKernel,
    render_kernels,
    summarize_integers,
    summarize_kernels,
)
from keras_netopt.quantization import grids

pytestmark = pytest.mark.no_backend


def build(*stack, shape=(6,), bits=4):
    """The kernels of a model, on a grid unless `bits` is None."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input(shape), *stack])
    for layer in model.layers:
        if bits and hasattr(layer, "kernel"):
            kernel = keras.ops.convert_to_numpy(layer.kernel.value)
            axes = grids.channel_axes(layer.kernel, layer)
            scale = grids.find_scale(kernel, axes, bits)
            layer.kernel.assign(grids.round_to_grid(kernel, scale, bits))
    return list_kernels(model)


def store(values, dtype="FLOAT32", scales=(), axis=0):
    return StoredWeight(
        "w",
        dtype,
        values.shape,
        values.nbytes,
        values,
        np.array(scales, "float32"),
        axis,
        (("FULLY_CONNECTED", "y"),),
    )


def test_equal_shapes_are_told_apart_by_their_values():
    kernels = build(layers.Dense(6), layers.Dense(6), layers.Dense(6))
    factor = np.array([[1], [-2], [0], [0.1], [3], [1]], "float32")
    folded = [store(factor * k.values.T) for k in kernels]
    order = [2, 0, 1]
    found = match_kernels(kernels, [folded[i] for i in order])
    assert found == folded
    # A transposed kernel is another kernel.
    turned = [store(kernel.values.copy()) for kernel in kernels]
    assert match_kernels(kernels, turned) == [None, None, None]


def test_rounded_kernels_are_found():
    kernels = build(layers.Dense(6), layers.Dense(6), bits=None)
    weights = []
    for kernel in kernels:
        scale = np.abs(kernel.values.T).max(axis=1, keepdims=True) / 127
        integers = np.round(kernel.values.T / scale).astype("int8")
        weights.append(store(integers, "INT8", scale.ravel()))
    assert match_kernels(kernels, weights[::-1]) == weights
    assert [kernel.bits for kernel in kernels] == [None, None]
    assert compare_integers(kernels[0], weights[0]) is None


def test_equal_kernels_may_share_a_weight():
    one = build(layers.Dense(6))[0]
    weight, other = store(one.values.T), store(-one.values.T)
    assert match_kernels([one, one], [weight]) == [weight, weight]
    assert match_kernels([one, one], [weight, other]) == [weight, other]


@pytest.fixture(scope="module")
def dense():
    return build(layers.Dense(6))[0]


def test_one_wrong_integer_is_seen(dense):
    integers = dense.find_integers().T
    assert compare_integers(dense, store(integers, "INT4")) is True
    for row, step in ((0, 1), (5, -1)):
        wrong = integers.copy()
        wrong[row, np.argmin(np.abs(wrong[row]))] += step
        assert compare_integers(dense, store(wrong, "INT4")) is False


def test_a_factor_per_channel_is_no_difference(dense):
    integers = dense.find_integers().T
    signs = np.array([[1], [-1], [1], [-1], [-1], [1]], "int8")
    assert compare_integers(dense, store(integers * signs, "INT4")) is True
    removed = integers * np.array([[0], [1], [1], [1], [1], [1]], "int8")
    assert compare_integers(dense, store(removed, "INT4")) is True
    again = np.round(integers * (127 / 7)).astype("int8")
    assert compare_integers(dense, store(again, "INT8")) is False


def test_ternary_kernels_are_exact_in_any_format():
    kernel = build(layers.Dense(6), bits=2)[0]
    integers = kernel.find_integers().T
    for dtype, top in (("INT2", 1), ("INT4", 7), ("INT8", 127)):
        assert compare_integers(kernel, store(integers * top, dtype)) is True


def test_orders_of_axes():
    cases = {
        "abc,cde->abde": ((4, 5), (3, 6), lambda k: k.reshape(6, -1).T),
        "abc,ced->abde": ((4, 5), (3, 6), lambda k: k.reshape(6, -1).T),
        "abcd,dce->abe": ((5,), (3, 2, 6), lambda k: None),
    }
    for equation, (outputs, shape, turn) in cases.items():
        layer = layers.EinsumDense(equation, (3, *outputs))
        kernel = build(layer, shape=shape)[0]
        values = turn(kernel.values)
        if values is None:
            values = np.transpose(kernel.values, (2, 1, 0)).reshape(5, -1)
        weight = store(values)
        assert match_kernels([kernel], [weight]) == [weight], equation


def test_many_kernels_are_folded_in_the_table():
    rows = [
        StoredKernel(f"block_{i}/kernel", (4, 8), "int4", 16, 0.5, 4, True)
        for i in range(20)
    ]
    rows.append(StoredKernel("table", (9, 2), "float32", 72, 0.0, note="why"))
    assert summarize_kernels(rows) == "20 int4, 1 float32; 392 bytes, 49% zeros"
    assert summarize_integers(rows) == "equal in 20 of 20 kernels on a grid"
    text = render_kernels(rows)
    assert "20 x, first: block_0/kernel" in text and "why" in text
    assert len(text.splitlines()) == 6
    assert len(render_kernels(rows[:12]).splitlines()) == 16
    assert summarize_integers(rows[20:]) == ""
    again = StoredKernel("k", (4, 8), "int8", 32, 0.5, 4, False)
    assert summarize_integers([*rows, again]) == (
        "equal in 20 of 21 kernels on a grid; 1 rounded again"
    )
