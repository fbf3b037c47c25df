"""Kernels of int4 hold two weights per byte, and a zero point per block."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_netopt import cost, search, sparsity


def build():
    """Layers of odd sizes, 90 % zeros."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6,), dtype="int32")
    x = layers.Embedding(51, 33, name="table")(inputs)
    x = layers.EinsumDense("abc,cde->abde", (6, 3, 5), name="einsum")(x)
    model = keras.Model(inputs, layers.Dense(7)(layers.Flatten()(x)))
    for variable in model.weights:
        if len(variable.shape) > 1:
            values = np.array(keras.ops.convert_to_numpy(variable))
            values[np.abs(values) < np.quantile(np.abs(values), 0.9)] = 0.0
            variable.assign(values)
    return model


@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize`")
@pytest.mark.parametrize("block_size", [-1, 16])
def test_packed_kernels_are_counted_by_their_weights(block_size):
    model = build()
    before = sparsity.report(model)
    kernels = {r.key: (r.shape, r.zeros) for r in before.kernels}
    macs = cost.summarize(model).macs
    config = keras.quantizers.Int4QuantizationConfig(block_size=block_size)
    model.quantize("int4", config=config)
    after = sparsity.report(model)
    assert {r.key: (r.shape, r.zeros) for r in after.kernels} == kernels
    assert after.sparsity == before.sparsity > 0.89
    found = cost.summarize(model)
    assert found.macs == macs
    size = sum(np.prod(shape) for shape, _ in kernels.values())
    others = [
        v for v in model.weights if v.name not in ("kernel", "embeddings")
    ]
    assert found.params == size + sum(int(np.prod(v.shape)) for v in others)
    # One byte holds two weights of a row; odd rows end in half a byte.
    packed = 51 * 17 + 33 * 8 + 90 * 4
    floats = {"int8": 1, "float32": 4}
    assert found.bytes == packed + sum(
        int(np.prod(v.shape)) * floats[keras.backend.standardize_dtype(v.dtype)]
        for v in others
    )


@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize`")
@pytest.mark.parametrize("block_size", [-1, 16])
def test_packed_kernels_beside_lora_are_counted_alike(block_size):
    model = build()
    kernels = sum(r.zeros for r in sparsity.report(model).kernels)
    config = keras.quantizers.Int4QuantizationConfig(block_size=block_size)
    model.quantize("int4", config=config)
    plain = cost.summarize(model)
    biases = sum(
        v.name == "bias" and int(np.prod(v.shape)) for v in model.weights
    )
    assert plain.zeros == kernels + biases
    assert search.MaxParams(1).measure(model) == plain.params

    model.layers[-1].enable_lora(2)

    found = cost.summarize(model)
    pair = 2 * (90 + 7)
    assert found.params == plain.params + pair
    assert found.zeros == plain.zeros + 2 * 7
    assert search.MaxParams(1).measure(model) == found.params
    kernel = sparsity.report(model).kernels[-1]
    assert kernel.shape == (90, 7)
