"""What does not cross is listed at once; a wrong twin is an error."""

import sys

import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops
from tf_keras_bridge.bridged import (
    arrays,
    conv_net,
    cross,
    randomise,
    sequential,
)

from keras_netopt import export
from keras_netopt.tf_keras_bridge import (
    BridgeError,
    find_obstacles,
    layer_twins,
    tf_functions,
)


class Scale(L.Layer):
    """A layer of the user with a weight."""

    def build(self, shape):
        self.factor = self.add_weight(shape=shape[-1:], name="factor")

    def call(self, inputs):
        return inputs * self.factor


def curve(x):
    return ops.tanh(x) * 2.0


def own_model():
    return sequential((4,), Scale(name="scale"), L.Dense(3, activation=curve))


def test_all_obstacles_are_listed_at_once():
    inputs = keras.Input((4, 3))
    x = Scale(name="scale")(inputs)
    x = L.Dense(3, activation=curve, name="curved")(x)
    x = L.Lambda(lambda y: y, name="lambda")(x)
    inner = sequential((4, 3), L.Dense(2), Scale(name="inner_scale"))
    inner.name = "inner"
    x = ops.sort(inner(x), axis=1)
    x = L.Conv1D(2, 2, data_format="channels_first", name="first")(x)
    model = keras.Model(inputs, L.Dense(2, name="last")(x))
    before = arrays(model)

    found = [one.layer for one in find_obstacles(model)]
    assert found == [
        "scale",
        "curved",
        "lambda",
        "inner/inner_scale",
        "sort",
        "first",
    ]
    with pytest.raises(BridgeError) as error:
        export.tfmot(model)
    assert all(one in str(error.value) for one in found)
    for one, two in zip(before, arrays(model), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.filterwarnings("ignore:You passed `rms_scaling")
@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (lambda: L.LayerNormalization(rms_scaling=True), "rms_scaling=True"),
        (lambda: L.Dense(2, kernel_regularizer=Own()), "kernel_regularizer"),
        (lambda: L.Dense(2, activation=L.ReLU()), "activation"),
    ],
)
def test_an_argument_that_changes_the_layer_is_not_dropped(build, reason):
    (obstacle,) = find_obstacles(sequential((4,), build()))

    assert reason in obstacle.reason


@keras.saving.register_keras_serializable("bridge_tests")
class Own(keras.regularizers.Regularizer):
    def __call__(self, x):
        return ops.sum(x)

    def get_config(self):
        return {}


@pytest.mark.filterwarnings("ignore:Layer InputLayer does not have")
def test_models_that_are_no_graph_or_quantized_are_refused():
    class Called(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = L.Dense(2)

        def call(self, x):
            return self.dense(x)

    called = Called()
    called(np.ones((1, 3)))
    quantized = sequential((4,), L.Dense(3))
    quantized.quantize("int8")

    assert "`call` of its own" in find_obstacles(called)[0].reason
    assert "model.quantize" in find_obstacles(quantized)[0].reason


@pytest.mark.backend("tensorflow", "jax")
def test_sparse_inputs_are_refused():
    """Keras has none on torch."""
    inputs = keras.Input((4,), sparse=True)
    model = keras.Model(inputs, L.Dense(2)(inputs))
    assert "sparse" in find_obstacles(model)[0].reason


def test_classes_of_the_user_cross_with_a_twin():
    import tensorflow as tf
    import tf_keras

    class TFScale(tf_keras.layers.Layer):
        def build(self, shape):
            self.factor = self.add_weight("factor", shape[-1:])

        def call(self, inputs):
            return inputs * self.factor

    def tf_curve(x):
        return tf.tanh(x) * 2.0

    for twin in (TFScale, lambda layer: TFScale()):
        bridge = cross(own_model(), twins={Scale: twin, curve: tf_curve})
        assert bridge.report.weights == 3
        assert bridge.model.get_layer("scale")


def test_a_twin_that_computes_something_else_is_an_error():
    import tf_keras

    twins = {Scale: lambda layer: tf_keras.layers.Dense(4, use_bias=False)}
    with pytest.raises(BridgeError, match="factor .* is missing"):
        export.tfmot(own_model(), twins=twins | {curve: lambda x: x})
    with pytest.raises(BridgeError, match="- dense"):
        model = sequential((4,), L.Dense(3, activation=curve, name="dense"))
        export.tfmot(randomise(model), twins={curve: lambda x: x})


def test_a_difference_behind_a_saturated_softmax_is_seen(monkeypatch):
    """The outputs alone are equal: one class has the probability 1."""
    monkeypatch.setitem(tf_functions.FUNCTIONS, "hard_sigmoid", "sigmoid")
    model = randomise(
        sequential(
            (4,),
            L.Activation("hard_sigmoid", name="hard"),
            L.Dense(3, activation="softmax"),
        )
    )
    model.layers[-1].bias.assign([900.0, 0.0, 0.0])

    with pytest.raises(BridgeError, match="- hard: "):
        export.tfmot(model)


def test_a_weight_without_a_counterpart_is_an_error(monkeypatch):
    """A twin with more weights than the layer holds a random one."""
    import tf_keras

    monkeypatch.setitem(
        layer_twins._MAKERS,
        "Dense",
        lambda layer, name, crossing: tf_keras.layers.Dense(3, name=name),
    )
    model = sequential((4,), L.Dense(3, use_bias=False))
    with pytest.raises(BridgeError, match="2 weights instead of 1"):
        export.tfmot(model)


def test_a_missing_tf_keras_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "tf_keras", None)

    with pytest.raises(ImportError, match="pip install tf_keras"):
        export.tfmot(conv_net())


def test_twins_that_are_not_callable_are_refused():
    with pytest.raises(TypeError, match="twins="):
        export.tfmot(conv_net(), twins={Scale: 3})
    with pytest.raises(BridgeError, match="returns 3. Return a layer"):
        export.tfmot(own_model(), twins={Scale: lambda layer: 3})
