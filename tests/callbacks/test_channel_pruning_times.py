"""`ChannelPruning` cuts when it should, in resumed and in further fits too."""

import types

import keras
import numpy as np
import pytest
from callback_tools.channel_pruning import (
    IS_TENSORFLOW,
    Widths,
    build,
    fit,
    state,
    units,
)
from toy import make_toy_data

from keras_netopt import schedules
from keras_netopt.callbacks.channel_pruning import ChannelPruning


@pytest.mark.parametrize(
    ("sparsity", "options", "fit_options", "widths"),
    [
        # Four equal cuts at 10, 27, 43 and 60 % of ten epochs.
        (0.5, {}, {"epochs": 10}, [32, 28, 28, 24, 24, 20, 16, 16, 16, 16]),
        (0.5, {"iterative_steps": 1}, {"epochs": 4}, [32, 16, 16, 16]),
        (0.5, {}, {"epochs": 2}, [32, 16]),
        (schedules.Constant(0.5), {}, {"epochs": 2}, [16, 16]),
        (
            schedules.Steps({"1ep": 0.25, "2ep": 0.5}),
            {},
            {"epochs": 3},
            [32, 24, 16],
        ),
        (
            schedules.Linear(final=0.5, begin=0.0, end=0.5),
            {"iterative_steps": 2},
            {"epochs": 4},
            [32, 24, 16, 16],
        ),
    ],
)
def test_cuts_come_at_epoch_begins(
    toy_data, sparsity, options, fit_options, widths
):
    model, watch = build(), Widths()
    callback = ChannelPruning(sparsity, round_to=4, **options)
    fit(model, toy_data, callback, watch, batch_size=32, **fit_options)

    assert watch.seen == [width for width in widths for _ in range(2)]


def test_a_fit_of_one_epoch_is_cut_between_its_batches(toy_data):
    model, watch = build(), Widths()
    callback = ChannelPruning(0.5, iterative_steps=2)
    fit(model, toy_data, callback, watch, epochs=1, batch_size=8)

    assert watch.seen == [32, 24, 24, 24, 24, 16, 16, 16]


def test_a_step_point_cuts_inside_an_epoch(toy_data):
    model, watch = build(), Widths()
    schedule = schedules.Constant(0.5, begin=3)
    history = fit(
        model,
        toy_data,
        ChannelPruning(schedule),
        watch,
        epochs=2,
        batch_size=16,
    )

    assert watch.seen == [32, 32, 32, 16, 16, 16, 16, 16]
    assert history["channels_kept"] == [0.5, 0.5]


# A data set of unknown length that repeats is tf.data's.
if IS_TENSORFLOW:

    @pytest.mark.filterwarnings("ignore:Your input ran out of data")
    def test_epochs_of_unknown_length_are_cut_too(toy_data):
        import tensorflow as tf

        data = tf.data.Dataset.from_tensor_slices(toy_data).batch(32)
        data = data.filter(lambda x, y: True)  # Its length is unknown now.
        model, watch = build(), Widths()
        callbacks = [ChannelPruning(0.5, round_to=8), watch]
        model.fit(data, epochs=4, verbose=0, shuffle=False, callbacks=callbacks)

        assert watch.seen == [32] * 4 + [16] * 4


class Crash(Exception):
    pass


class CrashAt(keras.callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise Crash


SIX = {"epochs": 6, "batch_size": 32, "shuffle": False}


@pytest.fixture(scope="module")
def whole():
    """A fit of six epochs without interruption."""
    keras.utils.set_random_seed(0)
    model, pruning = build(), ChannelPruning(0.5, round_to=4)
    history = fit(model, make_toy_data(), pruning, **SIX)
    return types.SimpleNamespace(history=history, state=state(model))


@pytest.mark.parametrize(
    ("epoch", "first"),
    [
        (2, True),
        (5, False),
        *(
            pytest.param(epoch, first, marks=pytest.mark.slow)
            for epoch, first in [(1, True), (1, False), (3, True), (2, False)]
        ),
    ],
)
def test_a_resumed_fit_equals_an_uninterrupted_one(
    whole, toy_data, tmp_path, epoch, first
):
    def run(*more):
        backup = keras.callbacks.BackupAndRestore(tmp_path)
        model, pruning = build(), ChannelPruning(0.5, round_to=4)
        pair = [backup, pruning] if first else [pruning, backup]
        return model, pruning, fit(model, toy_data, *pair, *more, **SIX)

    with pytest.raises(Crash):
        run(CrashAt(epoch))
    resumed, pruning, rest = run()

    assert pruning.is_complete
    kept = whole.history["channels_kept"]
    assert rest["channels_kept"] == kept[-len(rest["channels_kept"]) :]
    assert len(rest["loss"]) == 6 - epoch
    for mine, theirs in zip(state(resumed), whole.state, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_early_stopping_may_put_older_weights_back(toy_data):
    model = build()
    count = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: logs.update(passed=epoch)
    )
    # The best epoch is the first one, in which nothing is cut yet.
    early = keras.callbacks.EarlyStopping(
        "passed", mode="min", patience=9, restore_best_weights=True
    )
    after = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(model.get_weights())
    )
    seen = []
    pruning = ChannelPruning(0.5, round_to=8)
    fit(model, toy_data, count, early, pruning, after, epochs=4)

    assert units(model) == [16, 24, 3]
    # Each unit that is left is one of that epoch, not of the last one.
    first, last, now = (
        {tuple(column) for column in weights[0].T}
        for weights in (seen[0], seen[-1], model.get_weights())
    )
    assert len(first) == 2 * len(now) and now < first and not now & last


def test_a_second_fit_goes_on_and_a_new_callback_cuts_again(toy_data):
    def once():
        return ChannelPruning(0.5, round_to=8, iterative_steps=1)

    model, callback = build(), once()
    cuts = ((callback, 16, 24), (callback, 16, 24), (once(), 8, 16))
    for one, *widths in cuts:
        fit(model, toy_data, one, epochs=2)
        assert units(model) == [*widths, 3]
    fresh = build()
    fit(fresh, toy_data, callback, epochs=2)
    assert units(fresh) == [16, 24, 3]


def test_a_fit_after_the_last_cut_may_be_of_any_length(toy_data):
    model = build()
    callback = ChannelPruning(schedules.Constant(0.5, begin="2ep"))
    fit(model, toy_data, callback, epochs=3)
    history = fit(model, toy_data, callback, epochs=1)

    assert units(model) == [16, 24, 3]
    assert history["channels_kept"] == [0.5]
