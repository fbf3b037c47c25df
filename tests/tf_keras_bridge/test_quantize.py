"""Quantization-aware training and clustering with tfmot, and their files."""

import warnings

import keras
import numpy as np
import pytest
from keras import layers

from keras_netopt import export
from keras_netopt.tf_keras_bridge import BridgeError
from keras_netopt.warnings import NoEffectWarning, NotIntendedUseWarning

tf_keras = pytest.importorskip("tf_keras")
RNG = np.random.default_rng(0)
X = RNG.random((64, 6, 6, 2)).astype("float32")
Y = RNG.integers(0, 3, 64)
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def prune(model, share=0.6):
    """Sets the smallest weights of each kernel to 0."""
    for variable in model.weights:
        value = keras.ops.convert_to_numpy(variable.value)
        if value.ndim > 1:
            limit = np.quantile(np.abs(value), share)
            variable.assign(np.where(np.abs(value) <= limit, 0, value))
    return model


def conv_net():
    """Each kind of kernel, with and without BatchNormalization and ReLU."""
    return keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            layers.Conv2D(4, 3, use_bias=False, name="conv"),
            layers.BatchNormalization(momentum=0.5),
            layers.ReLU(),
            layers.SeparableConv2D(4, 2, name="separable"),
            layers.DepthwiseConv2D(2, name="depthwise"),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dense(3, name="dense"),
        ]
    )


def kernels(model):
    return [
        np.array(keras.ops.convert_to_numpy(variable.value))
        for variable in model.weights
        if len(variable.shape) > 1
    ]


def train(training, rate=0.01, epochs=2):
    training.compile(keras.optimizers.Adam(rate), LOSS, run_eagerly=True)
    training.fit(X, Y, batch_size=32, epochs=epochs, verbose=0)
    return training


@pytest.fixture(scope="module")
def source():
    keras.utils.set_random_seed(0)
    return prune(conv_net())


@pytest.fixture(scope="module")
def bridge(source):
    return export.tfmot(source)


@pytest.fixture(scope="module")
def pqat(bridge):
    return train(bridge.quantize("sparsity", calibration_data=X))


def test_every_zero_stays(source, pqat):
    # tfmot's own scheme loses those of depthwise kernels, and of layers
    # that a ReLU layer follows.
    before, after = kernels(source), kernels(pqat.to_keras())
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one == 0, other == 0)
        assert not np.array_equal(one, other)
    report = pqat.report()
    assert report.lost_zeros == 0
    assert {row.trained_as for row in report.kernels} == {"8 bits"}


def test_weights_come_back_bit_equal(source, pqat):
    first = [np.array(v.numpy()) for v in source.weights]
    model, plain = pqat.to_keras(), pqat.strip()
    for one, other in zip(model.weights, plain.weights, strict=True):
        value = keras.ops.convert_to_numpy(one.value)
        np.testing.assert_array_equal(value, other.numpy())
    for variable, value in zip(source.weights, first, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
    # What was trained, not what is computed with: the wrapper's variable.
    wrapped = pqat.model.get_layer("quant_dense")
    trained = next(w for w in wrapped.weights if "/kernel:" in w.name)
    np.testing.assert_array_equal(kernels(model)[-1], trained.numpy())


def test_the_int8_file_agrees(pqat, tmp_path):
    path = tmp_path / "m.tflite"
    report = pqat.to_litert(path, calibration_data=X)
    assert report.verification.agreement >= 0.98
    # Within one or two steps of the logits.
    assert (
        report.max_abs_diff <= 0.05 * np.abs(pqat.predict(X, verbose=0)).max()
    )
    assert {kernel.dtype for kernel in report.kernels} == {"int8"}
    for kernel, row in zip(report.kernels, pqat.report().kernels, strict=True):
        assert kernel.zeros >= row.zeros
    with pytest.raises(FileExistsError):
        pqat.to_litert(path)
    report = pqat.to_litert(path, quantized_io=True, overwrite=True)
    assert report.inputs[0].dtype == report.outputs[0].dtype == "int8"


def test_ranges_come_from_the_data(bridge):
    def ranges(training):
        return {
            w.name: float(w.numpy())
            for layer in training.model.layers
            for w in layer.weights
            if "activation_m" in w.name or "output_m" in w.name
        }

    plain = bridge.quantize()
    assert set(ranges(plain).values()) == {-6.0, 6.0}
    assert any("[-6, 6]" in note for note in plain.report().notes)
    found = bridge.quantize(calibration_data=X)
    expected = bridge.model.predict(X, verbose=0)
    top = next(
        v for k, v in ranges(found).items() if "dense/post" in k and "max" in k
    )
    assert top == pytest.approx(max(expected.max(), 0), rel=0.5)
    assert not found.report().notes


def test_clusters_and_zeros_stay(source):
    with pytest.warns(NotIntendedUseWarning):
        export.tfmot(source).quantize("both")
    clustered = export.tfmot(source).cluster(4, preserve_sparsity=True)
    assert "depthwise" in clustered.skipped
    model = train(clustered).to_keras()
    first = {
        row.layer: row
        for row in clustered.report().kernels
        if row.trained_as == "clusters"
    }
    assert set(first) == {"conv", "separable", "dense"}
    assert all(row.values <= 4 and not row.lost_zeros for row in first.values())

    pcqat = train(export.tfmot(model).quantize("both", calibration_data=X))
    for row in pcqat.report().kernels:
        assert row.lost_zeros == 0
        # Of a whole kernel: tfmot's own scheme trains a codebook a channel.
        if row.layer == "conv" or row.weight == "pointwise_kernel":
            assert row.values <= 4


def test_frozen_layers_do_not_move(source):
    model = keras.models.clone_model(source)
    model.set_weights(source.get_weights())
    model.get_layer("conv").trainable = False
    training = train(export.tfmot(model).quantize(), epochs=1)
    before, after = kernels(model), kernels(training.to_keras())
    np.testing.assert_array_equal(before[0], after[0])
    assert not np.array_equal(before[-1], after[-1])


def refused_net():
    return keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            layers.Conv2D(4, 3, activation="relu", name="fused"),
            layers.BatchNormalization(name="late"),
            layers.Conv2D(4, 1, activation="elu", name="elu"),
            layers.LayerNormalization(name="norm"),
            layers.Flatten(),
            layers.Dense(3, name="dense"),
        ]
    )


def test_all_refusals_are_listed_before_training(tmp_path):
    bridge = export.tfmot(refused_net())
    with pytest.raises(BridgeError) as caught:
        bridge.quantize()
    for name in ("late", "elu", "norm"):
        assert f"- {name}: " in str(caught.value)
    assert "- fused: " not in str(caught.value)

    training = bridge.quantize(skip_unsupported=True, calibration_data=X)
    assert [one.layer for one in training.skipped] == ["late", "elu", "norm"]
    train(training, epochs=1)
    kinds = {row.layer: row.trained_as for row in training.report().kernels}
    assert kinds == {"fused": "8 bits", "elu": "float", "dense": "8 bits"}
    with warnings.catch_warnings():
        # The data quantize in the file what computes in float here.
        warnings.simplefilter("ignore", UserWarning)
        report = training.to_litert(tmp_path / "m.tflite", calibration_data=X)
    assert report.verification.agreement >= 0.8
    assert any("late, elu, norm" in note for note in report.notes)


def test_arguments():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    bridge = export.tfmot(model)
    with pytest.raises(ValueError, match="`preserve`"):
        bridge.quantize("zeros")
    with pytest.raises(TypeError, match="`skip_unsupported`"):
        bridge.quantize(skip_unsupported=1)
    with pytest.raises(ValueError, match="`number_of_clusters`"):
        bridge.cluster(1)
    with pytest.raises(ValueError, match="`number_of_clusters`"):
        bridge.cluster(2, preserve_sparsity=True)
    with pytest.raises(BridgeError, match="clusters no layer"):
        bridge.cluster(12)
    with pytest.warns(NoEffectWarning, match="no kernel holds zeros"):
        bridge.quantize("sparsity")
    with pytest.warns(NoEffectWarning, match="no kernel holds zeros"):
        bridge.cluster(4, preserve_sparsity=True)
