"""Weights come back from models of tfmot, by name and shape."""

import keras
import numpy as np
import pytest
from keras import layers as L
from tf_keras_bridge.bridged import arrays, conv_net, randomise, sequential

from keras_netopt import export
from keras_netopt.tf_keras_bridge import BridgeError
from keras_netopt.tf_keras_bridge.compare_models import check_equal


@pytest.fixture(scope="module")
def bridge():
    """Shared; nobody changes it."""
    return export.tfmot(randomise(conv_net()))


def trained(model):
    """Each float variable gets values of its own, as training does."""
    rng = np.random.default_rng(7)
    for variable in model.weights:
        if "mask" in variable.name:
            mask = rng.random(variable.shape) < 0.5
            variable.assign(mask.astype("float32"))
        elif variable.dtype.is_floating:
            change = rng.uniform(0.01, 0.02, variable.shape)
            variable.assign(variable + change.astype("float32"))
    return model


def wrap(bridge, kind):
    import tensorflow_model_optimization as tfmot

    twin = bridge.new_twin()
    if kind == "quantized":
        return tfmot.quantization.keras.quantize_model(twin)
    if kind == "pruned":
        return tfmot.sparsity.keras.prune_low_magnitude(twin)
    return twin


def by_name(model):
    """The values of a model of tf_keras, by layer and weight."""
    values = {one.name.removesuffix(":0"): one.numpy() for one in model.weights}
    for name in [one for one in values if one.endswith("/mask")]:
        layer = name.removeprefix("prune_low_magnitude_").removesuffix("/mask")
        values[f"{layer}/kernel"] = values[f"{layer}/kernel"] * values[name]
    return values


@pytest.mark.parametrize("kind", ["plain", "quantized", "pruned"])
def test_trained_weights_come_back_bit_equal(bridge, kind):
    """A DepthwiseConv2D has another weight name in tf_keras."""
    source = arrays(bridge.source)
    model = trained(wrap(bridge, kind))
    values = by_name(model)
    clone = bridge.to_keras(model)

    names = {"depthwise/kernel": "depthwise/depthwise_kernel"}
    for layer in clone.layers:
        for variable in layer.weights:
            key = f"{layer.name}/{variable.name}"
            np.testing.assert_array_equal(
                keras.ops.convert_to_numpy(variable.value),
                values[names.get(key, key)],
            )
    for one, two in zip(source, arrays(bridge.source), strict=True):
        np.testing.assert_array_equal(one, two)


def test_clustered_weights_come_back_as_strip_clustering_gives_them(bridge):
    """The wrapper's variable holds the weights of before the clustering."""
    import tensorflow_model_optimization as tfmot

    cluster = tfmot.clustering.keras
    model = cluster.cluster_weights(
        bridge.new_twin(),
        number_of_clusters=4,
        cluster_centroids_init=cluster.CentroidInitialization.LINEAR,
    )
    wrapped = bridge.to_keras(model)
    stripped = bridge.to_keras(cluster.strip_clustering(model))

    assert len(np.unique(arrays(wrapped)[0])) == 4
    for one, two in zip(arrays(wrapped), arrays(stripped), strict=True):
        np.testing.assert_array_equal(one, two)


def test_the_weights_can_be_written_into_the_source():
    bridge = export.tfmot(randomise(conv_net()))
    model = trained(bridge.new_twin())

    assert bridge.to_keras(model, into=bridge.source) is bridge.source
    np.testing.assert_array_equal(
        arrays(bridge.source)[0], model.layers[1].kernel.numpy()
    )


def test_layers_are_matched_by_name_not_by_order(bridge):
    """Two layers of equal shapes that changed places keep their weights."""
    model = randomise(
        sequential((4,), L.Dense(4, name="one"), L.Dense(4, name="two"))
    )
    own = export.tfmot(model)
    import tf_keras

    first, second = own.model.get_layer("one"), own.model.get_layer("two")
    inputs = tf_keras.Input((4,))
    swapped = tf_keras.Model(inputs, first(second(inputs)))

    with pytest.raises(BridgeError, match="computes something else"):
        own.to_keras(swapped)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda layers: layers[:-1], "layer 'head' is missing"),
        (lambda layers: [*layers[:-1], L2("Dense", 5, name="head")], "shape"),
        (
            lambda layers: [
                *layers[:-1],
                L2("Dense", 3, use_bias=False, name="head"),
            ],
            "bias .* is missing",
        ),
    ],
    ids=["layer", "shape", "weight"],
)
def test_missing_weights_are_named(bridge, change, message):
    import tf_keras

    layers = change(bridge.new_twin().layers[1:])
    model = tf_keras.Sequential([tf_keras.Input((8, 8, 4)), *layers])

    with pytest.raises(BridgeError, match=message):
        bridge.to_keras(model)


def L2(kind, *args, **kwargs):
    import tf_keras

    return getattr(tf_keras.layers, kind)(*args, **kwargs)


def test_the_arguments_must_be_models(bridge):
    with pytest.raises(TypeError, match="model of tf_keras"):
        bridge.to_keras(bridge.source)
    with pytest.raises(TypeError, match="`model` must be a Keras model"):
        bridge.to_keras(into=bridge.model)
    other = sequential((4,), L.Dense(3))
    with pytest.raises(BridgeError, match="other weights"):
        bridge.to_keras(into=other)


def test_rounding_of_a_chaotic_network_is_no_error():
    """Else a deep network with large weights is refused for its last bits."""
    import tensorflow as tf

    inputs = keras.Input((24,))
    source = keras.Model(inputs, keras.ops.sin(L.Rescaling(3000.0)(inputs)))

    def make_twin(step):
        return lambda x, training: tf.sin(3000.0 * (x + step))

    probes = [np.linspace(1, 2, 48, dtype="float32").reshape(2, 24)]
    assert 1e-5 < check_equal(source, make_twin(1.2e-7), probes, "It") < 1e-2
    with pytest.raises(BridgeError, match="The last bit of the inputs"):
        check_equal(source, make_twin(1e-5), probes, "It")
