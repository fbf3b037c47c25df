import keras
import numpy as np
import pytest
from keras import ops

from keras_netopt.graph.layers import walk_layers
from keras_netopt.training.activations import capture_inputs

L = keras.layers


class Holder(keras.Model):
    """A subclassed model with a nested Functional one."""

    def __init__(self):
        super().__init__(name="holder")
        self.before = L.Dense(8, name="before")
        inputs = keras.Input((8,))
        self.inner = keras.Model(inputs, L.Dense(8, name="fc")(inputs))

    def call(self, x):
        return self.inner(self.before(x))


@pytest.fixture(scope="module")
def model():
    """Layers in every kind of container; shared, as building takes time."""
    inputs = keras.Input((5, 8))
    x = L.MultiHeadAttention(2, 4, name="mha")(inputs, inputs)
    x = L.TimeDistributed(L.Dense(8, name="td"), name="wrap")(x)
    x = L.Conv1D(8, 3, padding="same", name="conv")(x)
    x = L.GRU(8, name="gru")(x)
    x = L.Dropout(0.5, name="drop")(x)
    x = Holder()(x)
    return keras.Model(inputs, L.Dense(2, name="out")(x))


@pytest.fixture
def x():
    rng = np.random.default_rng(0)
    return rng.standard_normal((6, 5, 8)).astype("float32")


def by_name(model, names):
    return [layer for layer in walk_layers(model) if layer.name in names]


def test_inputs_of_layers_at_any_depth(model, x):
    names = [
        "query",
        "key",
        "value",
        "attention_output",
        "td",
        "conv",
        "before",
        "fc",
        "out",
    ]
    shapes = {}
    capture_inputs(
        model,
        by_name(model, names),
        [x],
        lambda layer, seen: shapes.setdefault(layer.name, []).append(
            seen.shape
        ),
    )
    assert shapes == {
        "query": [(6, 5, 8)],
        "key": [(6, 5, 8)],
        "value": [(6, 5, 8)],
        "attention_output": [(6, 5, 2, 4)],
        "td": [(6, 8)] * 5,
        "conv": [(6, 5, 8)],
        "before": [(6, 8)],
        "fc": [(6, 8)],
        "out": [(6, 8)],
    }


def test_values_are_those_of_the_forward_pass(model, x):
    seen = []
    capture_inputs(
        model,
        by_name(model, ["out"]),
        [x[:4], x[4:]],
        lambda _, v: seen.append(v),
    )
    upto = keras.Model(model.input, model.get_layer("out").input)
    np.testing.assert_allclose(
        np.concatenate(seen), ops.convert_to_numpy(upto(x)), atol=1e-6
    )


def test_the_model_does_not_change(model, x):
    before = [np.array(ops.convert_to_numpy(v)) for v in model.variables]
    layers = list(walk_layers(model))
    capture_inputs(model, layers[1:], [x], lambda layer, seen: None)
    assert not any("call" in vars(layer) for layer in layers)
    after = [np.array(ops.convert_to_numpy(v)) for v in model.variables]
    for old, new in zip(before, after, strict=True):
        assert np.array_equal(old, new)


def test_overrides_are_removed_if_the_observer_raises(model, x):
    def fail(layer, seen):
        raise KeyError(layer.name)

    with pytest.raises(KeyError):
        capture_inputs(model, by_name(model, ["fc"]), [x], fail)
    assert not any("call" in vars(layer) for layer in walk_layers(model))


def test_overrides_are_removed_if_a_layer_is_already_overridden(model, x):
    first, second = by_name(model, ["conv", "out"])
    object.__setattr__(second, "call", second.call)
    with pytest.raises(ValueError, match="is already overridden"):
        capture_inputs(model, [first, second], [x], lambda layer, seen: None)
    assert "call" not in vars(first)
    object.__delattr__(second, "call")


def test_a_later_call_calls_no_observer(model, x):
    seen = []
    capture_inputs(
        model, by_name(model, ["out"]), [x], lambda _, v: seen.append(v)
    )
    model(x, training=True)
    model(x)
    assert len(seen) == 1


def test_layers_inside_a_recurrent_cell_are_supported(x):
    class Cell(L.Layer):
        def __init__(self):
            super().__init__()
            self.state_size = 3
            self.dense = L.Dense(3, name="in_cell")

        def build(self, input_shape):
            self.dense.build(input_shape)

        def call(self, inputs, states):
            out = self.dense(inputs) + states[0]
            return out, [out]

    inputs = keras.Input((5, 8))
    model = keras.Model(inputs, L.RNN(Cell())(inputs))
    (dense,) = by_name(model, ["in_cell"])
    shapes = []
    capture_inputs(model, [dense], [x], lambda _, v: shapes.append(v.shape))
    # JAX traces the loop without values, the other backends run it.
    assert set(shapes) <= {(6, 8)}
    assert "call" not in vars(dense)


def test_a_layer_given_twice_is_observed_once_per_call(model, x):
    seen = []
    (out,) = by_name(model, ["out"])
    capture_inputs(model, [out, out], [x], lambda _, v: seen.append(v))
    assert len(seen) == 1
