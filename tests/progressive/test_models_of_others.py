"""Models as other people write them, as columns of progressive networks."""

import keras
import numpy as np
import pytest

from keras_netopt.progressive import (
    ProgressiveNetwork,
    find_network,
    next_task,
)
from keras_netopt.warnings import NotIntendedUseWarning

as_array = keras.ops.convert_to_numpy


class Classifier(keras.Model):
    """A subclassed model with its own training step."""

    def __init__(self):
        super().__init__()
        self.hidden = [keras.layers.Dense(n, "relu") for n in (8, 6)]
        self.top = keras.layers.Dense(2)

    def call(self, x):
        for layer in self.hidden:
            x = layer(x)
        return self.top(x)

    def train_step(self, *args):
        return super().train_step(*args)


def unbuilt():
    model = keras.Sequential(
        [
            keras.layers.Dense(8, "relu"),
            keras.layers.Dense(6, "relu"),
            keras.layers.Dense(2),
        ]
    )
    model(np.ones((2, 4), "float32"))
    return model


def subclassed():
    model = Classifier()
    model(np.ones((2, 4), "float32"))
    return model


@pytest.mark.parametrize("build", [unbuilt, subclassed])
def test_paths_of_variables_may_differ_in_the_file(tmp_path, build):
    # The paths of `sequential/dense/kernel` lose their first part in a file.
    net = ProgressiveNetwork(build(), adapter_width=1)
    net.add_task()
    net.save(tmp_path / "net.keras")
    loaded = ProgressiveNetwork.load(tmp_path / "net.keras")
    report = loaded.check_forgetting()
    assert report.passed and len(report.tasks) == 2
    column = loaded["task1"].weights[0]
    column.assign(column + 1e-6)
    assert not loaded.check_forgetting().tasks[0].passed


def test_columns_with_an_unknown_number_of_steps():
    # JAX cannot trace a maximum over an unknown number of steps.
    steps = keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(9, 4)(steps)
    x = keras.layers.Conv1D(4, 3, strides=2, activation="relu")(x)
    x = keras.layers.GlobalMaxPooling1D()(x)
    x = keras.layers.Dense(4, "relu")(x)
    model = keras.Model(steps, keras.layers.Dense(2)(x))
    net = ProgressiveNetwork(model, adapter_width=1)
    task = net.add_task()
    (frozen,) = (layer for layer in task.layers if layer.name == "task1_column")
    shapes = [one.shape for one in frozen.output]
    assert shapes[0] == (None, None, 4) and shapes[-1] == (None, 4)
    for length in (7, 12):
        assert task(np.ones((3, length), "int32")).shape == (3, 2)


def test_a_training_step_of_the_user_is_not_dropped_in_silence():
    model = subclassed()
    model.compile("sgd", "mse")
    with pytest.warns(NotIntendedUseWarning, match="train_step"):
        second = next_task(model, adapter_width=1)
    assert find_network(second).tasks == ["task1", "task2"]
    third = next_task(second, adapter_width=1, lateral="previous")
    assert third.compiled


def test_a_layer_in_the_column_and_in_the_head(tmp_path):
    # A file held the tied embedding once, and could not be read.
    tokens = keras.Input((5,), dtype="int32")
    embedding = keras.layers.ReversibleEmbedding(9, 4)
    x = keras.layers.Dense(8, "relu")(embedding(tokens))
    x = keras.layers.Dense(4, "relu")(x)
    model = keras.Model(tokens, embedding(x, reverse=True))
    net = ProgressiveNetwork(model, adapter_width=1)
    task = net.add_task()
    tied = [one for one in task.weights if one.path.endswith("embeddings")]
    assert len(tied) == 2  # One in the frozen column, one in the new one.
    x = np.arange(10).reshape(2, 5) % 9
    for number in range(2):
        path = tmp_path / f"{number}.keras"
        net.save(path)
        expected = {name: as_array(net[name](x)) for name in net}
        net = ProgressiveNetwork.load(path)
        assert net.check_forgetting().passed
        for name, outputs in expected.items():
            np.testing.assert_array_equal(outputs, as_array(net[name](x)))
        net.add_task(lateral="previous")
