"""Callbacks and edits of a `keras.distillation.Distiller`."""

import keras
import numpy as np
import pytest

from keras_netopt import surgery
from keras_netopt.callbacks import ChannelPruning, ComputeTracker, Growing

X = np.random.default_rng(0).normal(size=(16, 8)).astype("float32")
Y = np.zeros((16, 4), "float32")
distillation = keras.distillation


def build(width, name):
    hidden = keras.layers.Dense(width, activation="relu", name="hidden")
    out = keras.layers.Dense(4, name="out")
    return keras.Sequential([keras.Input((8,)), hidden, out], name=name)


def distill(*losses, teacher=24):
    model = distillation.Distiller(
        teacher=build(teacher, "teacher"),
        student=build(16, "student"),
        distillation_losses=list(losses),
    )
    model.compile(keras.optimizers.SGD(0.01), "mse", run_eagerly=True)
    return model


def features():
    return distillation.FeatureDistillation(
        teacher_layer_name="hidden", student_layer_name="hidden"
    )


@pytest.fixture(scope="module")
def trained():
    """A distiller that was never called before its `fit`, and callbacks."""
    model = distill(distillation.LogitsDistillation())
    widen = surgery.Widen("student/hidden", to=32)
    growing = Growing([widen], {0.5: [0]}, verbose=0)
    counter = ComputeTracker()
    pruning = ChannelPruning(0.25, iterative_steps=1)
    history = model.fit(
        X,
        Y,
        batch_size=8,
        epochs=4,
        verbose=0,
        callbacks=[growing, pruning, counter],
    ).history
    return model, counter, history


def test_the_student_is_edited_in_the_first_fit(trained):
    """TensorFlow builds the whole model in the first step only."""
    model, _, history = trained
    sizes = history["params"]
    assert sizes[0] > sizes[1] and len(set(sizes)) == 3
    assert model.student.layers[0].units == 32
    assert model.teacher.layers[0].units == 24


def test_the_macs_of_the_student_are_counted(trained):
    _, counter, history = trained
    assert counter.spent() == 3 * len(X) * sum(history["macs"])
    assert history["macs"][-1] == 12 * 32


def test_the_teacher_is_refused_by_the_reason(trained):
    model = trained[0]
    with pytest.raises(ValueError, match="call of 'distiller' does not use"):
        surgery.widen(model, "teacher/hidden", to=30)


@pytest.mark.filterwarnings("ignore:The structure of")
def test_features_that_the_training_step_compares_are_left_alone():
    model = distill(features(), teacher=16)
    model(X)
    with pytest.raises(ValueError, match="reaches an output of 'student_mult"):
        surgery.remove(model, {"student/hidden": [0]})
    model.fit(X, Y, verbose=0)


@pytest.mark.backend("tensorflow")
def test_a_model_without_call_is_refused_before_the_first_step():
    class Parts(keras.Model):
        """Two models and no `call`, as in a GAN."""

        def __init__(self):
            super().__init__()
            self.one = build(16, "one")

        def train_step(self, *args):
            raise AssertionError("A step was run.")

    model = Parts()
    model.compile("sgd", run_eagerly=True)
    with pytest.raises(ValueError, match="not built"):
        model.fit(X, Y, verbose=0, callbacks=[ChannelPruning(0.5)])
    assert not model.built
