"""Models of `keras.applications`, cut in half; collected on TensorFlow only."""

import keras
import numpy as np
import pytest
from keras.src.applications import (
    convnext,
    densenet,
    efficientnet,
    inception_resnet_v2,
    mobilenet_v3,
    nasnet,
    resnet,
)

from keras_netopt import surgery
from keras_netopt.surgery.channels.channel_graph import ChannelGraph
from keras_netopt.surgery.coupled_axis import IN

SIZES = {
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


def options(size):
    return {
        "weights": None,
        "input_shape": (size, size, 3),
        "classes": 4,
        "classifier_activation": None,
    }


def build(name):
    """A model as its users build it."""
    width = {"alpha": NARROW[name]} if name in NARROW else {}
    make = getattr(keras.applications, name)
    return make(**options(SIZES[name]), **width)


def residual():
    """Blocks with a projection, without one, and with a pooled shortcut."""
    stack = resnet.stack_residual_blocks_v2

    def blocks(x):
        x = stack(x, 4, 2, stride1=1, name="conv2")
        return stack(x, 8, 2, name="conv3")

    return resnet.ResNet(blocks, True, True, **options(32))


def efficient():
    """Blocks without and with expansion, the latter repeated."""
    first, second, *_ = efficientnet.DEFAULT_BLOCKS_ARGS
    return efficientnet.EfficientNet(
        *(0.5, 1.0, 32), blocks_args=[first, second], **options(32)
    )


def mobile_v3():
    def blocks(x, kernel, activation, se_ratio):
        block, relu = mobilenet_v3._inverted_res_block, mobilenet_v3.relu
        x = block(x, 1, 8, 3, 2, se_ratio, relu, 0)
        x = block(x, 2, 8, kernel, 1, None, relu, 1)
        return block(x, 2, 16, kernel, 2, se_ratio, activation, 2)

    return mobilenet_v3.MobileNetV3(blocks, 32, alpha=0.5, **options(32))


def inception_resnet():
    """One block of each kind and the last one, an eighth as wide."""
    of, patch = inception_resnet_v2, pytest.MonkeyPatch()
    norm, block = of.conv2d_bn, of.inception_resnet_block

    def narrow(x, filters, *args, use_bias=False, **kwargs):
        width = filters if use_bias else filters // 8  # As wide as a sum.
        return norm(x, width, *args, use_bias=use_bias, **kwargs)

    def once(x, *, block_type, block_idx, **kwargs):
        if block_idx != 1 and kwargs.get("activation", "relu"):
            return x
        return block(x, block_type=block_type, block_idx=block_idx, **kwargs)

    with patch.context() as patched:
        patched.setattr(of, "conv2d_bn", narrow)
        patched.setattr(of, "inception_resnet_block", once)
        return of.InceptionResNetV2(**options(75))


def nas():
    """A reduction cell after a stem, then a normal one."""
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.Conv2D(4, 3, 2, use_bias=False)(inputs)
    x = keras.layers.BatchNormalization(momentum=0.9)(x)
    x, before = nasnet._reduction_a_cell(x, None, 4, "stem")
    x, _ = nasnet._normal_a_cell(x, before, 8, "0")
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.ReLU()(x))
    return keras.Model(inputs, keras.layers.Dense(4)(x))


# The blocks of each family, in models of few blocks. Those of MobileNet,
# ResNet and EfficientNetV2 are made of the same layers.
SHALLOW = {
    "ConvNeXt": lambda: convnext.ConvNeXt(
        [1, 1, 1, 1], [8, 8, 16, 16], default_size=32, **options(32)
    ),
    "DenseNet": lambda: densenet.DenseNet([2, 1, 1, 1], **options(32)),
    "EfficientNet": efficient,
    "InceptionResNet": inception_resnet,
    "MobileNetV3": mobile_v3,
    "NASNet": nas,
    "ResNetV2": residual,
}


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


def images(model):
    rng = np.random.default_rng(1)
    shape = (8, *model.input_shape[1:])
    return rng.uniform(0, 255, shape).astype("float32")


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
@pytest.mark.parametrize("name", SHALLOW)
def test_half_of_a_shallow_model_is_removed_exactly(name, tmp_path):
    check_half(SHALLOW[name](), tmp_path, share=0.8)


@pytest.mark.slow
@pytest.mark.parametrize("name", SIZES)
def test_half_of_the_channels_are_removed_exactly(name, tmp_path):
    check_half(build(name), tmp_path, share=0.6)


def check_half(model, folder, *, share):
    data = images(model)
    scales = [one for one in model.layers if type(one).__name__ == "LayerScale"]
    for layer in scales:
        layer.gamma.assign(np.full(layer.gamma.shape, 0.3))
    calibrate(model, data)
    graph = ChannelGraph(model)
    check_prunable(graph, is_normalized=bool(scales))
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
    assert model.count_params() < share * params
    model.save(folder / "cut.keras")
    reloaded = keras.saving.load_model(folder / "cut.keras")
    assert np.array_equal(predict(reloaded, data), after)


def check_prunable(graph, *, is_normalized):
    """Every set of layers but the output may be cut."""
    sets = graph.layer_groups()
    kept = [layers for layers in sets if layers.reason]
    assert len(kept) == 1 < len(sets)
    assert kept[0].reason.startswith("reaches the output")
    assert all(len(s.free) == len(s.groups) for s in sets if not s.reason)
    normed = [layers for layers in sets if layers.normalized_by]
    assert len(normed) == (4 if is_normalized else 0)
