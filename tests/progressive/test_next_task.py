"""Columns from finished models of many kinds."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_netopt.layers import LateralConnection
from keras_netopt.progressive import (
    ProgressiveNetwork,
    find_network,
    next_task,
)
from keras_netopt.training.backend import without_gradients

RNG = np.random.default_rng(0)


def conv():
    inputs = keras.Input((8, 8, 2))
    x = layers.Conv2D(4, 3, padding="same", use_bias=False)(inputs)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    x = layers.MaxPooling2D()(x)
    x = layers.Add()([x, layers.Conv2D(4, 3, padding="same")(x)])
    x = layers.Dropout(0.5)(layers.Flatten()(x))
    x = layers.Dense(6, "relu")(x)
    return keras.Model(inputs, layers.Dense(3)(x))


def recurrent():
    inputs = keras.Input((5, 3))
    x = layers.GRU(4, return_sequences=True)(inputs)
    return keras.Model(inputs, layers.Dense(3)(layers.GRU(4)(x)))


def transformer():
    inputs = keras.Input((5, 4))
    x = layers.Add()([inputs, layers.MultiHeadAttention(2, 2)(inputs, inputs)])
    h = layers.Dense(8, "gelu")(layers.LayerNormalization()(x))
    x = layers.Add()([x, layers.Dense(4)(h)])
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))


def nested():
    inputs, outer = keras.Input((8, 8, 2)), keras.Input((8, 8, 2))
    x = layers.Conv2D(4, 3)(layers.Conv2D(4, 3, activation="relu")(inputs))
    backbone = keras.Model(inputs, x, name="backbone")
    x = layers.GlobalAveragePooling2D()(backbone(outer))
    return keras.Model(outer, layers.Dense(3)(x))


class Own(keras.Model):
    """A subclassed model with a `train_step` of its own."""

    def __init__(self):
        super().__init__()
        self.one, self.two = layers.Dense(4, "relu"), layers.Dense(4)
        self.norm, self.out = layers.BatchNormalization(), layers.Dense(3)
        self.steps = 0

    def call(self, inputs):
        x = keras.ops.relu(self.norm(self.two(self.one(inputs))))
        return self.out(x)

    def train_step(self, *args):
        self.steps += 1
        return super().train_step(*args)


def own():
    model = Own()
    model(np.zeros((1, 7), "float32"))
    return model


def sequential():
    return keras.Sequential(
        [keras.Input((7,)), layers.Dense(4, "relu"), layers.Dense(3)]
    )


# Model, shape of its inputs, shapes of its hidden tensors.
MODELS = {
    "conv": (conv, (8, 8, 2), [(4, 4, 4), (4, 4, 4), (6,)]),
    "recurrent": (recurrent, (5, 3), [(5, 4), (4,)]),
    "transformer": (transformer, (5, 4), [(5, 4), (5, 4)]),
    "nested": (nested, (8, 8, 2), [(6, 6, 4), (4,)]),
    "own": (own, (7,), [(4,), (4,)]),
    "sequential": (sequential, (7,), [(4,)]),
}


def outputs(model, x):
    with without_gradients():  # As in `predict`; torch rounds otherwise.
        return keras.ops.convert_to_numpy(model(x, training=False))


# The model "own" has a training step, which its next task leaves out.
@pytest.mark.filterwarnings("ignore:.*defines `train_step`")
@pytest.mark.parametrize("name", MODELS)
def test_any_model_learns_the_next_task_and_forgets_nothing(name, tmp_path):
    make, shape, hidden = MODELS[name]
    x = RNG.standard_normal((8, *shape)).astype("float32")
    y = (np.arange(8) % 3).astype("int32")
    keras.utils.set_random_seed(3)
    model = make()
    model.compile(
        keras.optimizers.AdamW(0.01, weight_decay=0.1),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        # A trace on TensorFlow takes longer than the steps.
        run_eagerly=keras.backend.backend() == "tensorflow",
    )
    model.train_on_batch(x, y)
    before = outputs(model, x)

    second = next_task(model)
    found = [
        tuple(one.output.shape[1:])
        for one in second.layers
        if isinstance(one, LateralConnection)
    ]
    assert found == hidden
    assert isinstance(second.optimizer, keras.optimizers.AdamW)
    untrained = outputs(second, x)
    second.train_on_batch(x, y)
    trained = outputs(second, x)
    assert np.abs(trained - untrained).max() > 1e-4
    np.testing.assert_array_equal(outputs(model, x), before)

    net = find_network(second)
    assert find_network(model) is net and net.check_forgetting().passed
    net.save(tmp_path / "net.keras")
    again = ProgressiveNetwork.load(tmp_path / "net.keras")
    np.testing.assert_array_equal(outputs(again["task1"], x), before)
    np.testing.assert_array_equal(outputs(again["task2"], x), trained)
    assert again.add_task().output.shape == (None, 3)


def test_width_keeps_a_share_of_the_channels():
    second = next_task(conv(), width=0.5)
    shapes = [
        tuple(one.output.shape[1:])
        for one in second.layers
        if isinstance(one, LateralConnection)
    ]
    assert shapes == [(4, 4, 2), (4, 4, 2), (3,)]
    with pytest.raises(ValueError, match=r"in \(0, 1\]"):
        next_task(conv(), width=2.0)


def test_hidden_layers_can_be_selected():
    second = next_task(conv(), hidden="^dense")
    laterals = [
        one for one in second.layers if isinstance(one, LateralConnection)
    ]
    assert len(laterals) == 1


def test_new_columns_have_new_weights():
    model = sequential()
    second = next_task(model)
    first = keras.ops.convert_to_numpy(model.layers[0].kernel)
    copy, _ = [one for one in second.layers if one.name.startswith("task2_den")]
    assert copy.trainable and not model.layers[0].trainable
    assert np.abs(keras.ops.convert_to_numpy(copy.kernel) - first).min() > 0


def test_deep_models_get_eight_hidden_tensors():
    inputs = x = keras.Input((4,))
    for width in (8, 4, 8, 4, 8, 4, 8, 4, 8, 4, 8, 4, 8, 4, 8, 6):
        x = layers.Dense(width, "relu")(x)
    second = next_task(keras.Model(inputs, layers.Dense(2)(x)))
    widths = [
        one.output.shape[-1]
        for one in second.layers
        if isinstance(one, LateralConnection)
    ]
    assert widths == [4] * 7 + [6]


def test_a_model_without_a_hidden_tensor_is_refused():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    with pytest.raises(ValueError, match="all paths from the inputs"):
        ProgressiveNetwork(model)


def test_weights_outside_layers_are_refused():
    class Scaled(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense, self.out = layers.Dense(4), layers.Dense(2)
            self.scale = self.add_weight(name="scale", initializer="ones")

        def call(self, inputs):
            return self.out(self.dense(inputs) * self.scale)

    model = Scaled()
    model(np.zeros((1, 3), "float32"))
    with pytest.raises(ValueError, match="scale"):
        ProgressiveNetwork(model)
