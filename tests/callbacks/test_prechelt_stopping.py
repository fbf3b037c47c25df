import contextlib
import math
import re

import keras
import numpy as np
import pytest
from pool import Pool

from keras_netopt import surgery
from keras_netopt.callbacks import PrecheltStopping, Pruning
from keras_netopt.schedules import Linear
from keras_netopt.training import NoEffectWarning, NotIntendedUseWarning

X = np.random.default_rng(0).normal(size=(16, 4)).astype("float32")
Y = np.ones((16, 2), "float32")


def build():
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(4, activation="relu", name="hidden"),
            keras.layers.Dense(2, name="out"),
        ]
    )
    model.compile("sgd", "mse")
    return model


POOL = Pool(build, keras.Model.make_train_function)


class Script(keras.callbacks.Callback):
    """Writes losses to the logs; `None` for an epoch without a loss."""

    def __init__(self, losses, key="val_loss"):
        super().__init__()
        self.losses, self.key = losses, key

    def on_epoch_end(self, epoch, logs=None):
        logs.pop(self.key, None)
        if self.losses[epoch] is not None:
            logs[self.key] = self.losses[epoch]


def fit(stopping, losses, *others, model=None, before=(), **arguments):
    callbacks = [Script(losses), *before, stopping, *others]
    with contextlib.ExitStack() as loans:
        history = (model or loans.enter_context(POOL.lend())).fit(
            X,
            Y,
            batch_size=8,
            verbose=0,
            callbacks=callbacks,
            **{"epochs": len(losses), **arguments},
        )
    return history.history


def texts(caught, category):
    """Keras on torch emits other warnings."""
    return [str(w.message) for w in caught if w.category is category]


def test_a_rule_ends_a_real_fit():
    stopping = PrecheltStopping("GL", 5.0)
    model = keras.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(1, kernel_initializer="zeros", use_bias=False),
        ]
    )
    model.compile(keras.optimizers.SGD(0.1), "mse")
    x = np.ones((8, 1), "float32")
    # The weight is 0.2, then 0.36; held-out data want -1.
    history = model.fit(
        x,
        x,
        epochs=9,
        verbose=0,
        validation_data=(x, -x),
        callbacks=[stopping],
    ).history
    expected = [0.0, 100 * (1.36**2 / 1.2**2 - 1)]
    np.testing.assert_allclose(
        history["generalization_loss"], expected, rtol=1e-5
    )
    assert (stopping.best_epoch, stopping.stopped_epoch) == (0, 1)


@pytest.mark.parametrize(
    ("rule", "threshold", "strip", "stopped", "best"),
    [
        ("GL", 49.0, 5, 3, 1),
        ("GL", 51.0, 5, None, 1),
        ("GL", None, 5, 2, 1),
        ("UP", 1, 1, 2, 1),
        ("UP", 1, 2, 3, 1),
        ("UP", 2, 1, 3, 1),
        ("UP", None, 1, 3, 1),
        ("UP", 3, 1, None, 1),
    ],
)
def test_the_rule_stops_at(rule, threshold, strip, stopped, best):
    stopping = PrecheltStopping(rule, threshold, strip=strip)
    history = fit(stopping, [2.0, 1.0, 1.25, 1.5, 1.5])
    assert (stopping.stopped_epoch, stopping.best_epoch) == (stopped, best)
    epochs = 5 if stopped is None else stopped + 1
    seen = [0.0, 0.0, 25.0, 50.0, 50.0][:epochs]
    assert history["generalization_loss"] == seen


@pytest.mark.parametrize(("threshold", "stopped"), [(0.19, 3), (0.2, None)])
def test_pq_reads_the_training_loss_as_well(threshold, stopped):
    stopping = PrecheltStopping("PQ", threshold, strip=2, train_monitor="train")
    training = Script([9.0, 8.0, 1.5, 1.0], "train")
    fit(stopping, [1.0, 1.0, 1.0, 1.5], before=[training])
    assert stopping.stopped_epoch == stopped


def test_epochs_without_a_value_do_not_count():
    stopping = PrecheltStopping("UP", 1, strip=2)
    losses = [None, 1.0, None, 1.0, None, 1.0, 2.0, 3.0]
    history = fit(stopping, losses)
    assert (stopping.best_epoch, stopping.stopped_epoch) == (1, 6)
    logged = history["generalization_loss"]
    counted = [not math.isnan(value) for value in logged]
    assert counted == [loss is not None for loss in losses[:7]]


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("rule", ["GL", "PQ", "UP"])
def test_a_value_that_is_not_finite_ends_the_fit(rule, value):
    stopping = PrecheltStopping(rule)
    fit(stopping, [1.0, value, 1.0])
    assert (stopping.best_epoch, stopping.stopped_epoch) == (0, 1)


@pytest.mark.parametrize("rule", ["GL", "PQ"])
def test_a_negative_loss_warns_and_does_not_stop(rule):
    stopping = PrecheltStopping(rule, 0.0, strip=2)
    with pytest.warns(NotIntendedUseWarning) as caught:
        fit(stopping, [-1.0, 2.0, 3.0, 4.0])
    assert texts(caught, NotIntendedUseWarning) == [
        f'PrecheltStopping: the rule "{rule}" uses ratios of losses, which '
        "are undefined below 0; found -1. The rule does not stop training: "
        'use rule="UP", which only compares.'
    ]
    assert stopping.stopped_epoch is None


def test_up_compares_negative_losses():
    stopping = PrecheltStopping("UP", 1, strip=1)
    fit(stopping, [-1.0, -2.0, -1.5])
    assert (stopping.best_epoch, stopping.stopped_epoch) == (1, 2)


@pytest.mark.parametrize(
    ("rule", "names"),
    [("GL", "`val_loss`"), ("PQ", "`val_loss` and `loss`")],
)
def test_a_fit_without_the_value_warns(rule, names):
    with pytest.warns(NoEffectWarning) as caught:
        fit(PrecheltStopping(rule), [None, None])
    assert texts(caught, NoEffectWarning) == [
        f"PrecheltStopping: found no {names} in the logs of this `fit`. Pass "
        "`validation_data` to `fit`, or name another loss with `monitor`."
    ]


@pytest.mark.no_backend
@pytest.mark.parametrize(
    "name",
    [
        "accuracy",
        "val_acc",
        "val_sparse_categorical_accuracy",
        "val_auc_1",
        "val_out_precision",
        "val_f1_score",
        "val_mean_io_u",
    ],
)
def test_metrics_that_rise_are_refused(name):
    message = (
        "Argument `monitor` must be a loss, where lower is better: the rules "
        "use ratios to the lowest value. Name the loss, or use "
        "keras.callbacks.EarlyStopping for this metric. "
        f"Received: monitor={name!r}"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        PrecheltStopping(monitor=name)
    with pytest.raises(ValueError, match="^Argument `train_monitor` must be"):
        PrecheltStopping(train_monitor=name)


@pytest.mark.no_backend
@pytest.mark.parametrize("name", ["val_loss", "mae", "val_precision_loss"])
def test_metrics_that_fall_are_accepted(name):
    assert PrecheltStopping(monitor=name).monitor == name


@pytest.mark.no_backend
@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"rule": "UP", "threshold": 0}, ValueError),
        ({"rule": "UP", "threshold": 2.5}, TypeError),
        ({"rule": "GL", "threshold": -1.0}, ValueError),
        ({"rule": "GL", "threshold": math.nan}, ValueError),
        ({"rule": "PQ", "strip": 1}, ValueError),
        ({"rule": "GL", "strip": 0}, ValueError),
        ({"monitor": None}, TypeError),
    ],
)
def test_wrong_arguments_are_refused(arguments, error):
    name = list(arguments)[-1]
    with pytest.raises(error, match=rf"^Argument `{name}` .*Received: {name}="):
        PrecheltStopping(**arguments)


class Shrink(keras.callbacks.Callback):
    """Edits the model at the begin of an epoch."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            surgery.remove(self.model, {"hidden": [0, 1]})


def test_an_edit_restarts_the_curves():
    stopping = PrecheltStopping("GL", 50.0)
    losses = [1.0, 1.0, 2.0, 2.5, 3.5]
    history = fit(stopping, losses, Shrink(2))
    assert history["generalization_loss"] == [0.0, 0.0, 0.0, 25.0, 75.0]
    assert (stopping.best_epoch, stopping.stopped_epoch) == (2, 4)


@pytest.mark.parametrize("first", ["pruning", "stopping"])
def test_epochs_of_pruning_do_not_count(first):
    """Its last update is made in the third epoch."""
    stopping = PrecheltStopping("GL", 50.0)
    pruning = Pruning(Linear(final=0.5, begin=0, end=6), frequency=1)
    losses = [1.0, 2.0, 4.0, 5.0, 7.0]
    before, behind = [pruning], []
    if first == "stopping":
        before, behind = behind, before
    history = fit(stopping, losses, *behind, before=before)
    logged = history["generalization_loss"]
    np.testing.assert_array_equal(logged, [math.nan, math.nan, 0.0, 25.0, 75.0])
    assert (stopping.best_epoch, stopping.stopped_epoch) == (2, 4)


def test_a_fit_that_is_all_pruning_warns():
    class Late(keras.callbacks.Callback):
        """Ends the fit before the schedule does."""

        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 1

    pruning = Pruning(Linear(final=0.5, begin=0, end=1.0), frequency=1)
    with pytest.warns(NoEffectWarning) as caught:
        fit(PrecheltStopping(), [1.0, 1.0, 1.0], Late(), before=[pruning])
    assert (
        "PrecheltStopping: found no epoch of the final network, which was "
        "pruned or edited up to the last one. Train longer, or let the "
        "schedule end earlier."
    ) in texts(caught, NoEffectWarning)


@pytest.mark.parametrize("first", ["stopping", "backup"])
@pytest.mark.parametrize("rule", ["GL", "PQ", "UP"])
def test_a_resumed_fit_continues_the_curves(tmp_path, first, rule):
    """Killed in the third epoch; all that is low was before."""

    class Crash(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise RuntimeError("crash")

    losses = [1.0, 0.5, 0.75, 1.0, 1.0, 1.0]
    threshold = 1 if rule == "UP" else 40.0
    ends = {"GL": 2, "PQ": 3, "UP": 3}

    def start(*more):
        # With a loss that is no one's, PQ stands still and waits for a strip.
        stopping = PrecheltStopping(
            rule, threshold, strip=2, train_monitor="flat"
        )
        flat = Script([1.0] * 6, "flat")
        backup = keras.callbacks.BackupAndRestore(str(tmp_path / "backup"))
        pair = [flat, backup] if first == "backup" else [flat]
        others = [] if first == "backup" else [backup]
        fit(stopping, losses, *others, *more, before=pair)
        return stopping

    with pytest.raises(RuntimeError, match="crash"):
        start(Crash())
    stopping = start()
    assert (stopping.best_epoch, stopping.stopped_epoch) == (1, ends[rule])


def test_a_second_fit_starts_empty_curves():
    stopping = PrecheltStopping("GL", 10.0)
    with POOL.lend() as model:
        fit(stopping, [1.0, 2.0], model=model)
        assert stopping.stopped_epoch == 1
        fit(stopping, [3.0, 3.0, 2.0], model=model)
    assert (stopping.best_epoch, stopping.stopped_epoch) == (2, None)


def test_the_report_holds_the_best_and_the_last_epoch():
    stopping = PrecheltStopping("GL", 10.0)
    message = (
        "PrecheltStopping has no epoch with `validation_data` to report: pass "
        f"the callback to `fit` first. Received: {stopping!r}"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        stopping.report()
    fit(stopping, [2.0, 1.0, 1.5, 3.0])
    report = stopping.report()
    assert report.to_dict() == {
        "rule": "GL",
        "threshold": 10.0,
        "monitor": "val_loss",
        "best_epoch": 1,
        "best_value": 1.0,
        "stopped_epoch": 2,
    }
    assert str(report) == (
        "GL 10: stopped after epoch 3; lowest val_loss 1 in epoch 2"
    )
    fit(stopping, [2.0, 1.0])
    assert "not stopped early" in str(stopping.report())


def test_an_earlier_save_judges_the_epoch_but_no_question_does(tmp_path):
    """A backup may be listed first; asking for the state stops nothing."""
    stopping, seen = PrecheltStopping("GL", 5.0), []

    class Earlier(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.ask()
            self.model.save_weights(tmp_path / "backup.weights.h5")
            self.ask()

        def ask(self):
            losses = stopping.save_state()[0]["losses"]
            seen.append((losses, self.model.stop_training))

    fit(stopping, [1.0, 2.0, 3.0], before=[Earlier()])
    first, second = [1.0], [1.0, 2.0]
    assert seen == [
        ([], False),
        (first, False),
        (first, False),
        (second, True),
    ]
