import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_netopt.depth import add_stochastic_depth
from keras_netopt.graph.residuals import find_residuals
from keras_netopt.layers import StochasticDepth

X = np.random.default_rng(0).standard_normal((8, 4)).astype("float32")
EAGER = keras.backend.backend() == "tensorflow"  # Tracing takes longer.
JIT = False if EAGER else "auto"


def outputs(model, x=X):
    return np.array(keras.ops.convert_to_numpy(model(x, training=False)))


def dense(x, **arguments):
    return layers.Dense(4, activation="tanh", **arguments)(x)


def residual():
    """Sums as a layer and as an operator, the shortcut first and last."""
    inputs = keras.Input((4,))
    x = dense(inputs)
    branch = layers.BatchNormalization(momentum=0.9)(dense(dense(x)))
    x = layers.Add(name="first")([x, branch])
    x = dense(x) + x
    outputs = layers.Dense(2)(x)
    return keras.Model(inputs, outputs)


class Table(layers.Layer):
    """Positions of the shape of its input, whose values it does not read."""

    def build(self, shape):
        self.table = self.add_weight(shape=shape[1:], name="table")

    def call(self, x):
        return ops.broadcast_to(self.table, ops.shape(x))


class Positions(layers.Layer):
    """The same from an embedding of numbers that are counted."""

    def __init__(self):
        super().__init__()
        self.embed = layers.Embedding(9, 8)

    def call(self, x):
        ones = ops.ones_like(x[..., 0])
        return self.embed(ops.cast(ops.cumsum(ones, axis=1) - 1, "int32"))


class Untraceable(Table):
    def compute_output_shape(self, shape):
        return shape

    def call(self, x):
        shape = ops.convert_to_numpy(x).shape
        return ops.broadcast_to(self.table, shape)


class Gated(layers.Layer):
    """Zero at first, but computed from the values."""

    def __init__(self):
        super().__init__()
        self.table = Table()
        self.dense = layers.Dense(8, kernel_initializer="zeros")

    def call(self, x):
        return self.dense(x) * self.table(x)


def embedded(position):
    """A sum of embeddings, then a block."""
    inputs = keras.Input((6,), dtype="int32")
    x = layers.Embedding(20, 8)(inputs)
    x = layers.Add(name="embed")([x, position(x)])
    x = layers.Add(name="block")([x, layers.Dense(8)(x)])
    return keras.Model(inputs, layers.Dense(2)(x))


def dropped_table(x):
    return layers.Dropout(0.1)(2.0 * Table()(x))


@pytest.mark.parametrize(
    "position",
    [
        *(Table(), Positions(), Untraceable(), dropped_table),
        *(keras.Sequential([Table()]), lambda x: dense8(ops.zeros_like(x))),
    ],
)
def test_a_sum_of_embeddings_is_no_block(position):
    model = add_stochastic_depth(embedded(position), 0.5)
    assert [one.name for one in drops(model)] == ["block_drop"]


def test_a_branch_that_starts_at_zero_is_a_block():
    model = add_stochastic_depth(embedded(Gated()), 0.5)
    assert [one.name for one in drops(model)] == ["embed_drop", "block_drop"]


def dense8(x):
    return layers.Dense(8)(x)


def drops(model):
    return [one for one in model.layers if isinstance(one, StochasticDepth)]


def test_inference_is_unchanged_and_weights_are_shared():
    model = residual()
    before = outputs(model)
    dropping = add_stochastic_depth(model, 0.4, seed=1)

    rates = [float(one.rate.value) for one in drops(dropping)]
    assert rates == pytest.approx([0.2, 0.4])
    np.testing.assert_allclose(outputs(dropping), before, atol=1e-6)
    assert {id(v) for v in dropping.trainable_variables} == {
        id(v) for v in model.trainable_variables
    }


def test_blocks_are_dropped_independently():
    """Equal seeds would drop them all in the same steps."""
    for seed, expected in ((3, [3, 4]), (None, [None, None])):
        dropping = add_stochastic_depth(residual(), seed=seed)
        seeds = [one.get_config()["seed"] for one in drops(dropping)]
        assert seeds == expected


def test_training_drops_blocks_and_updates_both_models():
    model = residual()
    dropping = add_stochastic_depth(model, 1.0)
    first, second = drops(dropping)
    first.rate.assign(1.0)
    kept = [np.array(w.numpy()) for w in first.block.weights]
    other = model.get_weights()
    dropping.compile(
        keras.optimizers.SGD(0.1), "mse", jit_compile=JIT, run_eagerly=EAGER
    )
    dropping.fit(X, np.ones((8, 2)), verbose=0)

    for old, variable in zip(kept, first.block.weights, strict=True):
        np.testing.assert_array_equal(variable.numpy(), old)
    assert any(
        not np.array_equal(a, b)
        for a, b in zip(other, model.get_weights(), strict=True)
    )
    np.testing.assert_allclose(outputs(model), outputs(dropping), atol=1e-6)


def test_the_new_model_is_compiled_and_saved(tmp_path):
    model = residual()
    model.compile("sgd", "mse", jit_compile=JIT)
    dropping = add_stochastic_depth(model, mode="sample")
    dropping.run_eagerly = EAGER
    dropping.fit(X, np.ones((8, 2)), verbose=0)
    dropping.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")

    np.testing.assert_array_equal(outputs(loaded), outputs(dropping))


def projected(x):
    return layers.Add()([dense(x), dense(x)])


def used_inside(x):
    inner = dense(x)
    return layers.Concatenate()([layers.Add()([x, dense(inner)]), inner])


def shared_sum(x):
    total = layers.Add()
    return total([total([x, dense(x)]), dense(x)])


def two_of_one(x):
    return layers.Add()([x, x])


@pytest.mark.parametrize(
    "make", [projected, used_inside, shared_sum, two_of_one]
)
def test_other_sums_are_not_changed(make):
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.Dense(1)(make(dense(inputs))))
    assert find_residuals(model) == ()
    with pytest.raises(ValueError, match="must be a Functional model with"):
        add_stochastic_depth(model)


def test_models_without_a_graph_are_refused():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(4)])
    with pytest.raises(ValueError, match="must be a Functional model with"):
        add_stochastic_depth(model)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "blocks"), [("ResNet50", 12), ("ConvNeXtTiny", 18)]
)
def test_keras_applications_keep_their_predictions(name, blocks):
    build = getattr(keras.applications, name)
    model = build(
        weights=None, input_shape=(32, 32, 3), classes=5, include_top=True
    )
    x = np.random.default_rng(0).random((2, 32, 32, 3)).astype("float32")
    before = outputs(model, x)
    dropping = add_stochastic_depth(model, 0.2)

    assert len(drops(dropping)) == blocks
    np.testing.assert_allclose(outputs(dropping, x), before, atol=1e-5)
