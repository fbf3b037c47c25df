import math

import keras
import numpy as np
import pytest
from keras import layers

from keras_netopt.callbacks import ParameterScheduler
from keras_netopt.layers import StochasticDepth
from keras_netopt.points import RunLength
from keras_netopt.schedules import Linear, Saturation, Steps

JIT = False if keras.backend.backend() == "tensorflow" else "auto"


# One step, where the value at the end is all that counts.
ONE_STEP = {"epochs": 1, "batch_size": 16, "run_eagerly": True}


class CountedLoss(keras.losses.MeanAbsoluteError):
    """Counts its traces; on torch Python runs it in every step."""

    calls = 0

    def call(self, y_true, y_pred):
        self.calls += 1
        return super().call(y_true, y_pred)


class Batches(keras.callbacks.Callback):
    """The loss of each batch, from Keras' running mean."""

    def __init__(self):
        super().__init__()
        self.losses = []
        self.means = []

    def on_epoch_begin(self, epoch, logs=None):
        self.means = [0.0]

    def on_train_batch_end(self, batch, logs=None):
        self.means.append(logs["loss"])
        count = len(self.means) - 1
        total = self.means[-1] * count - self.means[-2] * (count - 1)
        self.losses.append(round(float(total), 3))


def stack(count=1, rate=0.0):
    """Each kept block doubles its input."""
    x = inputs = keras.Input((2,))
    for k in range(count):
        block = layers.Identity()
        name = f"drop_{k}"
        x = StochasticDepth(block, rate, scale=None, mode="batch", name=name)(x)
    # A trainable layer.
    x = layers.Dense(2, kernel_initializer="identity", use_bias=False)(x)
    return keras.Model(inputs, x)


def train(model, *callbacks, epochs=2, batch_size=4, **arguments):
    loss = CountedLoss()
    arguments = {"jit_compile": JIT, **arguments}
    model.compile(keras.optimizers.SGD(0.0), loss, **arguments)
    batches = Batches()
    x = np.ones((16, 2), "float32")
    history = model.fit(
        x,
        np.zeros_like(x),
        batch_size=batch_size,
        epochs=epochs,
        verbose=0,
        callbacks=[*callbacks, batches],
    )
    return batches.losses, loss.calls, history.history


@pytest.mark.parametrize(
    ("per", "seen"),
    [
        ("step", [2, 2, 2, 1, 1, 1, 1, 1]),
        ("epoch", [2, 2, 2, 2, 1, 1, 1, 1]),
    ],
)
def test_layers_read_the_value_of_the_current_step(per, seen):
    """Without retracing; a loss of 2 is a kept block, 1 a dropped one."""
    _, plain, _ = train(stack())
    losses, traces, history = train(
        stack(), ParameterScheduler("rate", {0: 0.0, 3: 1.0}, per=per)
    )

    assert losses == seen
    assert traces == plain
    expected = [1.0, 1.0] if per == "step" else [0.0, 1.0]
    assert history["scheduled_rate"] == expected


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_a_fit_of_unknown_length_supports_steps():
    def data():
        for _ in range(4):
            yield np.ones((4, 2), "float32"), np.zeros((4, 2), "float32")

    model = stack()
    model.compile(keras.optimizers.SGD(0.0), CountedLoss(), jit_compile=JIT)
    batches = Batches()
    scheduler = ParameterScheduler("rate", {0: 0.0, 3: 1.0})
    callbacks = [scheduler, batches]
    model.fit(data(), epochs=1, shuffle=False, verbose=0, callbacks=callbacks)

    assert batches.losses == [2, 2, 2, 1]
    assert float(model.get_layer("drop_0").rate.value) == 1.0


def test_the_linear_scale_grows_with_depth():
    model = stack(4)
    train(model, ParameterScheduler("rate", 0.8, scale="linear"), **ONE_STEP)
    rates = [float(model.get_layer(f"drop_{k}").rate.value) for k in range(4)]

    assert rates == pytest.approx([0.2, 0.4, 0.6, 0.8])


def test_layers_are_found_by_class_name_and_callable():
    for chosen in (
        StochasticDepth,
        "drop_[01]",
        ["drop_0", "drop_1"],
        lambda layer: layer.name.startswith("drop"),
    ):
        if not isinstance(chosen, type | str | list):
            keras.saving.register_keras_serializable("test")(chosen)
        model = stack(2)
        train(
            model, ParameterScheduler("rate", 0.5, include=chosen), **ONE_STEP
        )
        assert float(model.get_layer("drop_1").rate.value) == 0.5
    model = stack(2)
    train(model, ParameterScheduler("rate", 0.5, include="drop_1"), **ONE_STEP)
    assert float(model.get_layer("drop_0").rate.value) == 0.0


def test_layers_inside_blocks_and_models_are_found():
    inner = StochasticDepth(layers.Identity(), 0.0, name="inner")
    block = keras.Sequential([layers.Dense(2), inner])
    nested = keras.Sequential([keras.Input((2,)), StochasticDepth(block, 0.0)])
    model = keras.Sequential([keras.Input((2,)), nested])
    train(model, ParameterScheduler("rate", 0.25), **ONE_STEP)

    assert float(inner.rate.value) == 0.25
    assert float(nested.layers[0].rate.value) == 0.25


@pytest.mark.no_backend
def test_progressive_layer_dropping_is_the_paper_s_schedule():
    theta, gamma, steps = 0.5, 0.01, 1000
    schedule = Saturation(final=1 - theta, steepness=gamma * steps)
    run = RunLength(steps_per_epoch=steps, epochs=1)
    for step in (0, 50, 400):
        kept = (1 - theta) * math.exp(-gamma * step) + theta
        assert schedule.at(step, run) == pytest.approx(1 - kept, abs=1e-4)


@pytest.mark.parametrize(
    ("scheduler", "text"),
    [
        (
            lambda: ParameterScheduler("rate", 0.5, include="no_such_layer"),
            "Argument `include` must match at least one layer. The nearest "
            "paths are 'drop_0'. Received: include='no_such_layer'",
        ),
        (
            lambda: ParameterScheduler("mode", 0.5, include=StochasticDepth),
            "Argument `attribute` must name a weight of at least one layer. "
            "The nearest names are 'random_state', 'rate', 'kernel'. "
            "Received: attribute='mode'",
        ),
        (
            lambda: ParameterScheduler("rate", Linear(final=1.5, end=1.0)),
            "Argument `schedule` must stay in [0, 1], the range of the "
            "variable.",
        ),
        (
            lambda: ParameterScheduler("rate", Steps({0: 0.5, 3: -0.1})),
            "which is -0.1 at step 3",
        ),
    ],
)
def test_bad_schedule_is_refused_before_the_first_step(scheduler, text):
    model = stack()
    with pytest.raises(ValueError) as error:
        train(model, scheduler())

    parts = text.split(".*")
    assert all(part in str(error.value) for part in parts), error.value
    assert float(model.get_layer("drop_0").rate.value) == 0.0


def test_two_schedulers_must_not_set_the_same_weight():
    with pytest.raises(ValueError, match="two ParameterSchedulers must"):
        train(
            stack(),
            ParameterScheduler("rate", 0.5),
            ParameterScheduler("rate", 0.1),
        )
