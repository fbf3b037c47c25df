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
            layers.Dense(8, name="frozen", trainable=False),
            layers.Dense(3, name="dense"),
        ]
    )


def small_net():
    """A convolution and a dense layer that hold more values than clusters."""
    return keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            layers.Conv2D(4, 3, name="conv"),
            layers.DepthwiseConv2D(2, strides=2, name="depthwise"),
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


def train(training):
    # A traced step of a wrapped model costs more than the two eager ones.
    training.compile(keras.optimizers.Adam(0.01), LOSS, run_eagerly=True)
    training.fit(X, Y, batch_size=32, verbose=0)
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
    # tfmot trains the kernels of frozen layers.
    moved = [
        not np.array_equal(a, b) for a, b in zip(before, after, strict=True)
    ]
    assert moved == [True, True, True, True, False, True]
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
    report = pqat.to_litert(path, quantized_io="uint8", overwrite=True)
    assert report.inputs[0].dtype == report.outputs[0].dtype == "uint8"


def test_ranges_come_from_the_data():
    model = keras.Sequential([keras.Input((6,)), layers.Dense(3, name="dense")])
    bridge = export.tfmot(model)
    x = 9 * RNG.random((32, 6)).astype("float32")

    def ranges(training):
        return [
            float(w.numpy())
            for layer in training.model.layers
            for w in layer.weights
            if "activation_m" in w.name
        ]

    plain = bridge.quantize()
    assert ranges(plain) == [-6.0, 6.0]
    assert any("[-6, 6]" in note for note in plain.report().notes)
    found = bridge.quantize(calibration_data=x)
    expected = bridge.model.predict_on_batch(x)
    limits = [min(expected.min(), 0), max(expected.max(), 0)]
    np.testing.assert_allclose(ranges(found), limits, atol=0.2)
    assert not found.report().notes
    with pytest.raises(ValueError, match="`preserve`"):
        bridge.quantize("zeros")
    with pytest.raises(TypeError, match="`skip_unsupported`"):
        bridge.quantize(skip_unsupported=1)
    with pytest.warns(NoEffectWarning, match="no kernel holds zeros"):
        bridge.quantize("sparsity")
    with pytest.warns(NotIntendedUseWarning, match="no clusters"):
        bridge.quantize("clusters")


def test_clusters_and_zeros_stay():
    clustered = export.tfmot(prune(small_net())).cluster(
        4, preserve_sparsity=True
    )
    assert list(clustered.skipped) == ["depthwise"]
    model = train(clustered).to_keras()
    rows = {row.layer: row for row in clustered.report().kernels}
    kinds = {layer: row.trained_as for layer, row in rows.items()}
    assert kinds == {
        "conv": "clusters",
        "depthwise": "float",
        "dense": "clusters",
    }
    for layer in ("conv", "dense"):
        assert rows[layer].values <= 4
        assert not rows[layer].lost_zeros
    assert rows["depthwise"].lost_zeros

    pcqat = train(export.tfmot(model).quantize("both", calibration_data=X))
    for row in pcqat.report().kernels:
        assert row.lost_zeros == 0
        # Of the whole kernel: tfmot's own scheme trains a codebook a channel.
        assert row.values <= 4 or row.layer == "depthwise"


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
    kinds = {row.layer: row.trained_as for row in training.report().kernels}
    assert kinds == {"fused": "8 bits", "elu": "float", "dense": "8 bits"}
    # Random numbers say little, and may say so.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        report = training.to_litert(tmp_path / "m.tflite")
    assert any("late, elu, norm" in note for note in report.notes)


def test_arguments_of_cluster():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    bridge = export.tfmot(model)
    with pytest.raises(ValueError, match="`number_of_clusters`"):
        bridge.cluster(1)
    with pytest.raises(ValueError, match="`number_of_clusters`"):
        bridge.cluster(2, preserve_sparsity=True)
    with pytest.raises(BridgeError, match="clusters no layer"):
        bridge.cluster(12)
    with pytest.warns(NoEffectWarning, match="no kernel holds zeros"):
        bridge.cluster(4, preserve_sparsity=True)
    # Fewer weights that are not zero than clusters.
    kernel = np.zeros((4, 3))
    kernel[0, 0], kernel[1, 1] = 1.0, 0.5
    model.layers[0].kernel.assign(kernel)
    (row,) = (
        export.tfmot(model).cluster(6, preserve_sparsity=True).report().kernels
    )
    assert (row.values, row.lost_zeros) == (3, 0)
