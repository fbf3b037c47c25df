"""`ChannelPruning` says what has no effect and refuses what cannot work."""

import keras
import numpy as np
import pytest
from callback_tools.channel_pruning import build, compiled, fit, state, units

from keras_netopt import schedules
from keras_netopt.callbacks.channel_pruning import ChannelPruning
from keras_netopt.training import NoEffectWarning

L = keras.layers


def texts(caught):
    ours = [w for w in caught if issubclass(w.category, NoEffectWarning)]
    return [str(w.message) for w in ours]


def test_a_fit_that_ends_early_says_so(toy_data):
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 1

    model = build()
    with pytest.warns(NoEffectWarning) as caught:
        fit(model, toy_data, ChannelPruning(0.5, round_to=8), Stop(), epochs=10)

    assert texts(caught) == [
        "ChannelPruning: training ended with 1 of 4 cuts made and 10% of the "
        "channels removed. Train longer, or let the schedule reach 50% "
        "earlier."
    ]


def test_nothing_to_prune_warns_once(toy_data):
    model = compiled(keras.Sequential([keras.Input((8,)), L.Dense(3)]))
    with pytest.warns(NoEffectWarning) as caught:
        fit(model, toy_data, ChannelPruning(0.5))

    (text,) = texts(caught)
    assert "no layer can be pruned" in text
    assert "`include`" in text


def test_a_sparsity_of_zero_changes_nothing(toy_data):
    plain, treated = build(), build()
    keras.utils.set_random_seed(1)
    fit(plain, toy_data, epochs=2)
    keras.utils.set_random_seed(1)
    history = fit(treated, toy_data, ChannelPruning(0.0), epochs=2)

    for mine, theirs in zip(state(treated), state(plain), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert history["channels_kept"] == [1.0] * 2


def test_weights_that_are_not_finite_are_not_cut(toy_data):
    model = build()
    spoil = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: model.get_layer("one").kernel.assign(
            np.full((8, 32), np.nan)
        )
    )
    with pytest.warns(NoEffectWarning, match="a cut to 50% was skipped"):
        fit(
            model,
            toy_data,
            spoil,
            ChannelPruning(0.5, iterative_steps=1),
            epochs=2,
        )

    assert units(model) == [32, 48, 3]


BAD = {
    "sparsity": (-0.1, "in [0, 1)"),
    "score": ("best", "'taylor'"),
    "resource": ("speed", "'latency'"),
    "allocation": ("fair", "'isomorphic'"),
    "iterative_steps": (0, "at least 1"),
    "round_to": (0, "at least 1"),
    "min_channels": (0, "at least 1"),
    "seed": (-1, "at least 0"),
}


@pytest.mark.no_backend
@pytest.mark.parametrize("name", BAD)
def test_bad_arguments_are_refused_at_construction(name):
    value, text = BAD[name]
    with pytest.raises(ValueError) as error:
        ChannelPruning(**{"sparsity": 0.5, name: value})

    message = str(error.value)
    assert message.startswith(f"Argument `{name}` must ")
    assert text in message
    assert message.endswith(f"Received: {name}={value!r}")


@pytest.mark.no_backend
@pytest.mark.parametrize(
    ("arguments", "kind", "text"),
    [
        ({"sparsity": None}, TypeError, "`sparsity` must be a float in"),
        (
            {"iterative_steps": 2.0},
            TypeError,
            "`iterative_steps` must be an integer",
        ),
        ({"meter": 3}, TypeError, "`meter` must be a callable"),
        ({"recalibrate": True}, ValueError, "`calibration_data` must be given"),
        ({"score": "taylor"}, ValueError, "`calibration_data` must be given"),
    ],
)
def test_bad_types_are_refused_at_construction(arguments, kind, text):
    with pytest.raises(kind, match=text):
        ChannelPruning(**{"sparsity": 0.5, **arguments})


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"include": "three"}, "`include` must match at least one layer"),
        ({"exclude": "three"}, "`exclude` must match at least one layer"),
        ({"include": "out"}, "reaches the output"),
        ({"score": lambda v: np.ones(2)}, "must return an array of shape"),
        (
            {"sparsity": schedules.Constant(0.5, begin="9ep")},
            "after the end of this `fit` call",
        ),
        (
            {"sparsity": schedules.Steps({0.1: 0.5, 0.6: 0.2})},
            "a schedule that never falls",
        ),
        (
            {"sparsity": schedules.Linear(final=1.0)},
            r"a schedule with values in \[0, 1\), but it reaches 1",
        ),
    ],
)
def test_what_does_not_fit_the_model_is_refused_before_training(
    toy_data, arguments, text
):
    model = build()
    before = model.get_weights()
    arguments = {"sparsity": 0.5, **arguments}
    if callable(arguments.get("score")):
        keras.saving.register_keras_serializable("tests", "wrong_shape")(
            arguments["score"]
        )
    with pytest.raises(ValueError, match=text):
        fit(model, toy_data, ChannelPruning(**arguments))

    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_an_optimizer_that_cannot_follow_is_refused(toy_data):
    model = build(optimizer=keras.optimizers.Ftrl(0.01))
    with pytest.raises(ValueError, match="Ftrl"):
        fit(model, toy_data, ChannelPruning(0.5))


def test_a_subclassed_model_is_refused():
    class Plain(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = L.Dense(3)

        def build(self, input_shape):
            self.dense.build(input_shape)
            self.built = True

        def call(self, inputs):
            by_value = float(keras.ops.max(inputs)) > 3
            return self.dense(-inputs if by_value else inputs)

    model = Plain()
    model.build((None, 8))
    with pytest.raises(ValueError, match="subclassed"):
        ChannelPruning(0.5).on_model_ready(model)


@pytest.mark.no_backend
def test_a_billion_cuts_are_refused_at_once():
    message = "`iterative_steps` must be at most 10000.*=1000000000$"
    with pytest.raises(ValueError, match=message):
        ChannelPruning(0.5, iterative_steps=10**9)
    with pytest.raises(ValueError, match=message):
        ChannelPruning(schedules.Linear(final=0.5), iterative_steps=10**9)
    assert len(ChannelPruning(0.5, iterative_steps=10**4).schedule.points)
