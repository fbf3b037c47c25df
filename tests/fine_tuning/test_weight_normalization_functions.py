"""Adds, initializes and folds weight normalization in whole models."""

import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops

import keras_netopt as netopt
from keras_netopt.fine_tuning import (
    add_weight_normalization,
    initialize_weight_normalization,
    remove_weight_normalization,
)
from keras_netopt.layers import StochasticDepth, WeightNormalization
from keras_netopt.training import NoEffectWarning

X = np.random.default_rng(0).standard_normal((24, 6, 4)).astype("float32")


def outputs(model, x=X):
    return np.array(ops.convert_to_numpy(ops.stop_gradient(model(x))))


def kinds(model):
    return {one.name: type(one).__name__ for one in model.layers}


@keras.saving.register_keras_serializable("tests")
class NormalizedHolder(keras.layers.Layer):
    """A layer of another author around a layer."""

    def __init__(self, inner, **kwargs):
        super().__init__(**kwargs)
        self.inner = inner

    def build(self, shape):
        if not self.inner.built:
            self.inner.build(shape)

    def call(self, x):
        return self.inner(x)

    def get_config(self):
        inner = keras.saving.serialize_keras_object(self.inner)
        return {**super().get_config(), "inner": inner}

    @classmethod
    def from_config(cls, config):
        inner = keras.saving.deserialize_keras_object(config.pop("inner"))
        return cls(inner, **config)


@pytest.fixture(scope="module")
def zoo():
    """Nested, shared, recurrent, distributed and normalized layers."""
    keras.utils.set_random_seed(3)
    normalize = L.Normalization()
    normalize.adapt(2 + 3 * X)
    inner_inputs = keras.Input((6, 4))
    inner = L.SeparableConv1D(4, 3, padding="same", name="sep")(inner_inputs)
    x = inputs = keras.Input((6, 4))
    x = keras.Model(inner_inputs, inner, name="inner")(normalize(x))
    shared = L.Dense(4, activation="tanh", name="shared")
    x = L.Dropout(0.2)(shared(shared(x)))
    x = L.BatchNormalization(name="bn")(x)
    x = L.Bidirectional(L.GRU(3, return_sequences=True), name="bi")(x)
    x = L.TimeDistributed(L.Dense(4), name="td")(x)
    x = L.MultiHeadAttention(2, 2, name="mha")(x, x)
    x = L.Dense(3, name="out")(L.GlobalAveragePooling1D()(x))
    model = keras.Model(inputs, x)
    model.compile("sgd", "mse", metrics=["mae"])
    return model


def test_adding_and_removing_keep_the_outputs(zoo):
    normalized = add_weight_normalization(zoo)
    found = kinds(normalized)
    wrapped = {n for n, kind in found.items() if kind == "WeightNormalization"}

    assert wrapped == {"shared", "bi", "td", "out"}
    assert kinds(normalized.get_layer("inner"))["sep"] == "WeightNormalization"
    np.testing.assert_allclose(outputs(normalized), outputs(zoo), atol=1e-6)
    for layer in normalized.layers:
        if isinstance(layer, WeightNormalization):
            for _, g, _ in layer.normalized_kernels():
                g.assign(g.value * 1.5)
    plain = remove_weight_normalization(normalized)
    assert list(kinds(plain).values())[1:] == list(kinds(zoo).values())[1:]
    assert plain.get_layer("out").name == "out"
    np.testing.assert_allclose(outputs(plain), outputs(normalized), atol=1e-6)
    assert np.abs(outputs(plain) - outputs(zoo)).max() > 1e-3
    assert plain.compiled and normalized.compiled


def test_the_models_share_no_weights():
    """On JAX, a training step deletes the tensors that it replaces."""
    model = keras.Sequential([keras.Input((4,)), L.Dense(2), L.Dense(3)])
    model.compile("sgd", "mse")
    normalized = add_weight_normalization(model, "first")
    plain = remove_weight_normalization(normalized)
    before = outputs(model, X[:, 0])
    for one in (normalized, plain):
        one.fit(X[:, 0], np.ones((24, 3)), batch_size=12, verbose=0)
        np.testing.assert_array_equal(outputs(model, X[:, 0]), before)


def test_selectors_choose_the_layers(zoo):
    some = add_weight_normalization(zoo, ["inner/", "last"], exclude="sep")
    assert kinds(some)["out"] == "WeightNormalization"
    assert kinds(some)["shared"] == "Dense"
    assert kinds(some.get_layer("inner"))["sep"] == "SeparableConv1D"
    with pytest.raises(ValueError, match="nearest paths are 'shared'"):
        add_weight_normalization(zoo, "sharde")
    with pytest.raises(ValueError, match="included and not excluded"):
        add_weight_normalization(zoo, "out", exclude="out")


def test_wrappers_inside_other_layers_are_folded():
    model = keras.Sequential(
        [
            keras.Input((6, 4)),
            L.TimeDistributed(WeightNormalization(L.Dense(4), name="a")),
            StochasticDepth(WeightNormalization(L.Dense(4), name="b")),
            NormalizedHolder(WeightNormalization(L.Dense(4), name="c")),
        ]
    )
    plain = remove_weight_normalization(model)
    assert len(plain.weights) == len(model.weights) - 3
    np.testing.assert_allclose(outputs(plain), outputs(model), atol=1e-6)


def test_a_subclassed_model_is_folded_and_not_wrapped():
    class Net(keras.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.hidden = NormalizedHolder(WeightNormalization(L.Dense(4)))

        def call(self, x):
            return self.hidden(x)

    model = Net()
    outputs(model)
    with pytest.raises(ValueError, match="Functional or Sequential"):
        add_weight_normalization(model)
    with pytest.raises(ValueError, match="describes other weights"):
        remove_weight_normalization(model)  # Its layers are in its code.


def test_frozen_layers_stay_frozen():
    dense = L.Dense(3, trainable=False)
    model = keras.Sequential([keras.Input((4,)), dense])
    normalized = add_weight_normalization(model)
    assert not normalized.trainable_weights
    assert not remove_weight_normalization(normalized).trainable_weights


def test_units_start_with_mean_0_and_deviation_1(zoo):
    normalized = add_weight_normalization(zoo)
    names = initialize_weight_normalization(normalized, X)

    assert names == ("shared", "td", "out")
    found = outputs(normalized)
    np.testing.assert_allclose(found.mean(axis=0), 0.0, atol=1e-5)
    np.testing.assert_allclose(found.std(axis=0), 1.0, atol=1e-4)


@pytest.mark.parametrize("use_bias", [True, False])
def test_convolutions_are_initialized_per_channel(use_bias):
    x = np.random.default_rng(1).normal(3, 2, (8, 5, 5, 2)).astype("float32")
    conv = L.Conv2D(3, 2, use_bias=use_bias, activation="relu", name="conv")
    model = keras.Sequential(
        [keras.Input((5, 5, 2)), WeightNormalization(conv)]
    )
    initialize_weight_normalization(model, x)
    assert conv.activation is keras.activations.relu
    conv.activation = None
    found = outputs(model, x)

    np.testing.assert_allclose(found.std(axis=(0, 1, 2)), 1.0, atol=1e-4)
    is_centred = abs(found.mean(axis=(0, 1, 2))).max() < 1e-4
    assert is_centred == use_bias


def test_time_steps_are_initialized_together_or_not_at_all():
    """The statistics of the first step are not those of all steps."""
    x = X * np.arange(1, 7, dtype="float32")[None, :, None]
    outside = WeightNormalization(L.TimeDistributed(L.Dense(3)))
    model = keras.Sequential([keras.Input((6, 4)), outside])
    initialize_weight_normalization(model, x)
    np.testing.assert_allclose(outputs(model, x).std((0, 1)), 1.0, atol=1e-4)

    inside = L.TimeDistributed(WeightNormalization(L.Dense(3), name="wn"))
    model = keras.Sequential([keras.Input((6, 4)), inside])
    before = outputs(model, x)
    with pytest.warns(NoEffectWarning, match="no layer was initialized: wn"):
        assert initialize_weight_normalization(model, x) == ()
    np.testing.assert_array_equal(outputs(model, x), before)
    gru = WeightNormalization(L.GRU(2), name="gru")
    model = keras.Sequential([keras.Input((6, 4)), gru])
    with pytest.warns(NoEffectWarning, match="gru"):
        initialize_weight_normalization(model, x)


def test_the_values_of_a_kernel_count_not_its_initializer():
    dense = L.Dense(2, kernel_initializer="zeros", name="out")
    model = keras.Sequential([keras.Input((4,)), L.Dense(4), dense])
    with pytest.raises(ValueError, match="kernel of zeros.*Received: .*out"):
        add_weight_normalization(model)
    dense.kernel.assign(np.arange(8.0).reshape(4, 2))
    normalized = add_weight_normalization(model)
    np.testing.assert_allclose(
        outputs(normalized, X[:, 0]), outputs(model, X[:, 0]), atol=1e-5
    )


def test_a_constant_unit_keeps_its_values():
    model = keras.Sequential(
        [keras.Input((4,)), WeightNormalization(L.Dense(2), name="wn")]
    )
    before = outputs(model, np.ones((8, 4)))
    initialize_weight_normalization(model, np.ones((8, 4), "float32"))
    np.testing.assert_allclose(outputs(model, np.ones((8, 4))), before)


@pytest.mark.backend("tensorflow")
def test_the_folded_model_exports(tmp_path):
    model = add_weight_normalization(
        keras.Sequential([keras.Input((4,)), L.Dense(8), L.Dense(2)])
    )
    plain = remove_weight_normalization(model)
    reports = [
        netopt.export.to_litert(one, tmp_path / f"{k}.tflite")
        for k, one in enumerate((model, plain))
    ]
    # The converter folds the norms as well: no operation remains of them.
    assert reports[0].ops == reports[1].ops
