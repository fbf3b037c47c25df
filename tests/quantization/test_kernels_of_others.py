"""Kernels that other code writes, or that no grid can hold."""

import keras
import numpy as np
import pytest

import keras_netopt as netopt
from keras_netopt import quantization
from keras_netopt.callbacks import Quantization
from keras_netopt.training.master_store import MasterStore

X = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
Y = np.zeros((8, 8), "float32")


def _model(*layers: keras.Layer, dtype: str = "float32") -> keras.Model:
    last = keras.layers.Dense(8, dtype=dtype, name="last")
    model = keras.Sequential([keras.Input((4,)), *layers, last])
    model.compile(keras.optimizers.SGD(0.0), "mse", run_eagerly=True)
    return model


def test_written_weights_survive_training_without_the_callback() -> None:
    model = _model()
    model.fit(X, Y, verbose=0, callbacks=[Quantization(4)])
    for train in (
        lambda: model.fit(X, Y, verbose=0),
        lambda: model.train_on_batch(X, Y),
    ):
        kernel = np.random.default_rng(1).normal(size=(4, 8)).astype("float32")
        model.set_weights([kernel, np.zeros(8)])
        train()
        store = MasterStore.of(model)
        assert store is not None
        np.testing.assert_array_equal(store.masters()["last/kernel"], kernel)
        assert quantization.report(model).rows[0].bits == 4
    quantization.remove_masters(model)
    assert "make_train_function" not in vars(model)


@pytest.mark.backend("tensorflow")  # Elsewhere no layer keeps what it assigns.
def test_kernel_that_its_layer_rewrites_stays_float() -> None:
    inner = keras.layers.Dense(6, name="inner")
    model = _model(keras.layers.SpectralNormalization(inner))
    callback = Quantization(4)
    model.fit(X, Y, epochs=9, verbose=0, callbacks=[callback])
    kernel = np.asarray(inner.kernel)
    assert np.linalg.norm(kernel, 2) == pytest.approx(1.0, abs=0.1)
    reasons = [row.reason for row in callback.report().rows]
    assert "SpectralNormalization" in str(reasons[0])
    assert reasons[1] is None


@pytest.mark.parametrize(
    ("dtype", "bits", "fits"),
    [
        ("bfloat16", 8, False),
        ("float16", 8, False),
        ("bfloat16", 4, True),
        ("float16", 4, True),
    ],
)
def test_short_dtype_is_on_the_grid_or_not_selected(
    dtype: str, bits: int, fits: bool
) -> None:
    model = _model(keras.layers.Dense(16), dtype=dtype)
    before = np.asarray(model.get_weights()[2], "float32")
    row = netopt.quantization.quantize(model, bits).rows[1]
    assert row.is_quantized == fits, row
    if not fits:
        assert dtype in str(row.reason)
        after = np.asarray(model.get_weights()[2], "float32")
        np.testing.assert_array_equal(after, before)


def test_report_of_kernels_that_are_on_no_grid() -> None:
    model = _model(keras.layers.Dense(4))
    quantization.quantize(model, 4)
    model.layers[0].enable_lora(2)
    model.layers[1].set_weights([np.full((4, 8), np.nan), np.zeros(8)])
    first, last = quantization.report(model).rows
    assert not first.is_quantized and "LoRA" in str(first.reason)
    assert not last.is_quantized and last.reason == "not finite"
