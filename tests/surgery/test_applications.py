"""One model of each family of `keras.applications`, cut in half."""

import keras
import numpy as np
import pytest

from keras_netopt import surgery
from keras_netopt.surgery.graph.channel_graph import ChannelGraph
from keras_netopt.surgery.graph.coupled_axis import IN

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="NASNet needs TensorFlow; the handlers are tested on all backends",
)

FAMILIES = {
    "ConvNeXtTiny": 32,
    "DenseNet121": 32,
    "EfficientNetB0": 32,
    "EfficientNetV2B0": 32,
    "InceptionResNetV2": 75,
    "InceptionV3": 75,
    "MobileNet": 32,
    "MobileNetV2": 32,
    "MobileNetV3Large": 32,
    "MobileNetV3Small": 32,
    "NASNetMobile": 32,
    "ResNet50": 32,
    "ResNet50V2": 32,
    "VGG16": 32,
    "Xception": 71,
}
NARROW = {"MobileNet": 0.25, "MobileNetV2": 0.35}


def build(name):
    options = {"alpha": NARROW[name]} if name in NARROW else {}
    size = FAMILIES[name]
    return getattr(keras.applications, name)(
        weights=None,
        input_shape=(size, size, 3),
        classes=4,
        classifier_activation=None,
        **options,
    )


@pytest.fixture(autouse=True)
def quick_weights(monkeypatch):
    """Weights that keep the scale of their inputs, drawn by NumPy."""
    rng = np.random.default_rng(0)

    def draw(self, shape, dtype=None):
        fan = np.prod(shape[:-2]) if shape[-1] == 1 else np.prod(shape[:-1])
        scale = np.sqrt(2.0 / fan)
        values = rng.standard_normal(shape, "float32") * np.float32(scale)
        return keras.ops.convert_to_tensor(values)

    for name in ("VarianceScaling", "RandomNormal", "TruncatedNormal"):
        initializer = getattr(keras.initializers, name)
        monkeypatch.setattr(initializer, "__call__", draw)


def images(name):
    rng = np.random.default_rng(1)
    size = FAMILIES[name]
    return rng.uniform(0, 255, (16, size, size, 3)).astype("float32")


def calibrate(model, data):
    """Statistics from data, and outputs between -1 and 1."""
    norms = [
        layer
        for layer in model.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    momentum = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 0.03
    model(data, training=True)
    for layer, old in zip(norms, momentum, strict=True):
        layer.momentum = old
        spread = np.array(layer.moving_variance)
        # Nearly constant channels would magnify rounding errors.
        layer.moving_variance.assign(np.maximum(spread, np.median(spread)))
    head = [layer for layer in model.layers if layer.weights][-1]
    head.kernel.assign(head.kernel / np.abs(predict(model, data)).max())


def predict(model, data):
    return np.array(model(data[:4], training=False))


def half(graph):
    """Half of what may go exactly, by layer; and the groups."""
    units, groups = {}, []
    for layers in graph.layer_groups():
        free = [c for c in layers.free if c not in graph.normalized_by]
        gone = free[::2][: len(layers.groups) // 2]
        groups += gone
        for layer in layers.layers:
            own = np.flatnonzero(np.isin(graph.units(layer), gone))
            if len(own):
                units[layer] = own.tolist()
    return units, groups


def zero(graph, groups):
    gone = np.zeros(graph.group_count, bool)
    gone[groups] = True
    for coupled_axis in graph.coupled_axes:
        where = gone[graph.group_of[coupled_axis.ids]]
        if coupled_axis.role == IN and where.any():
            value = keras.ops.convert_to_numpy(coupled_axis.variable).copy()
            np.moveaxis(value, coupled_axis.axis, 0)[where] = 0.0
            coupled_axis.variable.assign(value)


@pytest.mark.all_cases
@pytest.mark.parametrize("name", FAMILIES)
def test_half_of_the_channels_are_removed_exactly(name, tmp_path):
    model, data = build(name), images(name)
    for layer in model.layers:
        if type(layer).__name__ == "LayerScale":
            layer.gamma.assign(np.full(layer.gamma.shape, 0.3))
    calibrate(model, data)
    graph = ChannelGraph(model)
    check_prunable(graph, name)
    units, groups = half(graph)
    before, params = predict(model, data), model.count_params()
    zero(graph, groups)
    assert np.abs(predict(model, data) - before).max() > 0.1
    calibrate(model, data)
    expected = predict(model, data)
    assert expected.std(axis=0).min() > 1e-3
    surgery.remove(model, units)
    after = predict(model, data)
    assert np.abs(after - expected).max() <= 1e-5
    assert model.count_params() < 0.6 * params
    path = str(tmp_path / "cut.keras")
    model.save(path)
    reloaded = keras.saving.load_model(path)
    assert np.array_equal(predict(reloaded, data), after)


def check_prunable(graph, name):
    """Every set of layers but the output may be cut."""
    sets = graph.layer_groups()
    kept = [layers for layers in sets if layers.reason]
    assert len(kept) == 1 < len(sets)
    assert kept[0].reason.startswith("reaches the output")
    assert all(len(s.free) == len(s.groups) for s in sets if not s.reason)
    normed = [layers for layers in sets if layers.normalized_by]
    assert len(normed) == (4 if name == "ConvNeXtTiny" else 0)
