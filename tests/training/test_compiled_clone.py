"""Copies of compiled models, and their learning rates."""

import keras
import numpy as np
import pytest

from keras_netopt.training.compiled_clone import (
    clone_compiled,
    compile_again,
    initial_learning_rate,
)


class OwnStep(keras.Model):
    def train_step(self, *args, **kwargs):
        return super().train_step(*args, **kwargs)


def build(**options):
    inputs = keras.Input((3,))
    model = OwnStep(inputs, keras.layers.Dense(2)(inputs))
    metric = keras.metrics.MeanAbsoluteError(name="mine")
    model.compile(
        **{
            "optimizer": keras.optimizers.SGD(0.5, momentum=0.9),
            "loss": own_loss,
            "metrics": [metric],
            **options,
        }
    )
    return model


def own_loss(y_true, y_pred):
    return keras.ops.mean(keras.ops.square(y_true - y_pred))


def test_a_clone_has_class_weights_loss_and_metrics_and_shares_no_state():
    model = build()
    copy = clone_compiled(model, 0.25)
    assert type(copy) is OwnStep
    for one, other in zip(model.weights, copy.weights, strict=True):
        np.testing.assert_array_equal(one, other)
    assert copy.optimizer.get_config()["momentum"] == 0.9
    assert float(copy.optimizer.learning_rate) == 0.25
    assert float(model.optimizer.learning_rate) == 0.5
    x = np.ones((4, 3), "float32")
    before = model.get_weights()
    history = copy.fit(x, np.zeros((4, 2)), verbose=0).history
    assert "mine" in history
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert not model.optimizer.built


def test_a_schedule_reaches_the_innermost_optimizer():
    decay = keras.optimizers.schedules.CosineDecay(0.5, 10)
    inner = keras.optimizers.SGD(0.1)
    model = build(optimizer=keras.optimizers.LossScaleOptimizer(inner))
    copy = clone_compiled(model, decay)
    assert float(copy.optimizer.inner_optimizer.learning_rate) == 0.5
    compile_again(copy, 0.125)
    assert float(copy.optimizer.inner_optimizer.learning_rate) == 0.125


def test_the_rate_at_the_start_is_found_behind_a_warm_up():
    decay = keras.optimizers.schedules.CosineDecay(
        0.0, 1000, warmup_target=0.5, warmup_steps=10
    )
    assert initial_learning_rate(keras.optimizers.Adam(decay)) == 0.5
    assert initial_learning_rate(keras.optimizers.SGD(0.25)) == 0.25


@keras.saving.register_keras_serializable("compiled_clone")
class NoConfig(keras.layers.Layer):
    def __init__(self, size):
        super().__init__()
        self.size = size

    def call(self, x):
        return x * self.size


def test_a_layer_without_config_is_named():
    inputs = keras.Input((3,))
    model = keras.Model(inputs, NoConfig(2)(inputs))
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="get_config"):
        clone_compiled(model)
