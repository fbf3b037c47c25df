import re

import keras
import numpy as np

from keras_netopt.graph.layers import (
    own_variables,
    variable_keys,
    walk_layers,
)

L = keras.layers


def nested(name):
    inputs = keras.Input((8,), name=f"{name}_in")
    return keras.Model(inputs, L.Dense(8, name="fc")(inputs), name=name)


def zoo():
    """One of each: attention, wrappers, nested twins, a shared layer."""
    inputs = keras.Input((5, 8), name="x")
    x = L.MultiHeadAttention(2, 4, name="mha")(inputs, inputs)
    x = L.TimeDistributed(L.Dense(8, name="td"), name="wrap")(x)
    x = L.Bidirectional(L.LSTM(4, name="lstm"), name="bi")(x)
    shared = L.Dense(8, name="shared")
    x = shared(shared(nested("b")(nested("a")(x))))
    return keras.Model(inputs, L.BatchNormalization(name="norm")(x), name="net")


def test_walk_is_depth_first_and_visits_each_layer_once():
    # Keras numbers default names: softmax, softmax_1, ...
    names = [re.sub(r"_\d+$", "", la.name) for la in walk_layers(zoo())]
    assert names == [
        "net",
        "x",
        "mha",
        "query",
        "key",
        "value",
        "softmax",
        "dropout",
        "attention_output",
        "wrap",
        "td",
        "bi",
        "forward_lstm",
        "lstm_cell",
        "backward_lstm",
        "lstm_cell",
        "a",
        "a_in",
        "fc",
        "b",
        "b_in",
        "fc",
        "shared",
        "norm",
    ]


def test_walk_finds_layers_in_lists_and_dicts():
    class Holder(keras.Model):
        def __init__(self):
            super().__init__(name="holder")
            self.many = [L.Dense(1, name="one"), L.Dense(1, name="two")]
            self.named = {"x": L.Dense(1, name="three")}

    names = [layer.name for layer in walk_layers(Holder())]
    assert names == ["holder", "one", "two", "three"]


def test_walk_of_a_single_layer():
    dense = L.Dense(1)
    assert list(walk_layers(dense)) == [dense]


def test_every_weight_belongs_to_one_layer():
    model = zoo()
    owned = [v for la in walk_layers(model) for v in own_variables(la)]
    assert len(owned) == len(model.weights)
    assert {id(v) for v in owned} == {id(v) for v in model.weights}


def test_own_variables_exclude_those_of_sublayers():
    class Gated(L.Layer):
        def __init__(self):
            super().__init__()
            self.inner = L.Dense(2)

        def build(self, input_shape):
            self.inner.build(input_shape)
            self.gate = self.add_weight(name="gate", shape=(2,))

        def call(self, x):
            return self.inner(x) * self.gate

    layer = Gated()
    layer(np.ones((1, 3)))
    assert [v.name for v in own_variables(layer)] == ["gate"]
    assert [v.name for v in own_variables(layer.inner)] == ["kernel", "bias"]


def test_keys_are_paths():
    model = zoo()
    keys = variable_keys(model)
    listed = [keys[id(v)] for v in model.weights if v.name != "bias"]
    assert listed == [
        "mha/query/kernel",
        "mha/key/kernel",
        "mha/value/kernel",
        "mha/attention_output/kernel",
        "wrap/td/kernel",
        "bi/forward_lstm/lstm_cell/kernel",
        "bi/forward_lstm/lstm_cell/recurrent_kernel",
        "bi/backward_lstm/lstm_cell/kernel",
        "bi/backward_lstm/lstm_cell/recurrent_kernel",
        "a/fc/kernel",
        "b/fc/kernel",
        "shared/kernel",
        "norm/gamma",
        "norm/beta",
        "norm/moving_mean",
        "norm/moving_variance",
    ]


def test_keys_that_repeat_are_numbered():
    class Twins(keras.Model):
        def __init__(self):
            super().__init__()
            self.left = L.Dense(2, name="fc")
            self.right = L.Dense(2, name="fc")

        def call(self, x):
            return self.left(x) + self.right(x)

    model = Twins()
    model(np.ones((1, 3)))
    keys = variable_keys(model)
    assert [keys[id(v)] for v in model.weights] == [
        "fc/kernel#0",
        "fc/bias#0",
        "fc/kernel#1",
        "fc/bias#1",
    ]
    assert keys[id(model.right.kernel)] == "fc/kernel#1"


def test_keys_are_the_same_in_a_clone_and_in_a_reloaded_model(tmp_path):
    model = zoo()
    model.save(tmp_path / "model.keras")
    copies = (
        keras.models.clone_model(model),
        keras.models.load_model(tmp_path / "model.keras"),
    )
    for copy in copies:
        first, second = variable_keys(model), variable_keys(copy)
        assert [first[id(v)] for v in model.weights] == [
            second[id(v)] for v in copy.weights
        ]
