"""Trials that fail, and settings that are refused."""

import copy
import math

import keras
import pytest
from search import toys

from keras_netopt import search
from keras_netopt.warnings import NoEffectWarning


def test_a_failing_trial_is_told_and_the_others_go_on(run):
    class Fails(toys.Curves):
        def fit(self, hp, *args, **kwargs):
            if hp.get("x") < 0.5:
                raise ArithmeticError("too small")
            return super().fit(hp, *args, **kwargs)

    oracle = toys.random_oracle(
        toys.lowest("v"), 6, max_consecutive_failed_trials=10
    )
    found = run(Fails(), oracle).oracle.trials.values()
    for trial in found:
        failed = trial.hyperparameters.get("x") < 0.5
        assert trial.status == ("FAILED" if failed else "COMPLETED")
        assert not failed or "ArithmeticError: too small" in trial.message
    assert {trial.status for trial in found} == {"FAILED", "COMPLETED"}


def test_a_number_of_processes_is_an_executor(tuner):
    assert tuner(executor=2).executor == search.local_processes(2)


class Pipeline:
    """Stands for a `tf.data.Dataset`."""

    element_spec = None


def test_a_data_set_is_refused_before_a_process_starts(tuner):
    made = tuner(executor=1)
    data = {"validation_data": (toys.X, Pipeline())}
    with pytest.raises(ValueError, match="make the data set in") as error:
        made.search(toys.X, toys.Y, verbose=0, **data)
    assert "Received: validation_data of type Pipeline" in str(error.value)
    assert not made.oracle.trials


def test_folds_of_one_trial_compare_nothing(run):
    with pytest.warns(NoEffectWarning, match="one trial compares nothing"):
        run(oracle=toys.random_oracle(trials=1), folds=2, epochs=1)


class CannotCopy(keras.callbacks.Callback):
    def __deepcopy__(self, memo):
        raise RuntimeError("mine alone")


@pytest.mark.parametrize(
    "options, arguments, message",
    [
        (
            {"oracle": toys.random_oracle("val_accuracy")},
            {},
            r"one of \['loss', 'mae', 'val_loss', 'val_mae'\]. Received: "
            "objective='val_accuracy'",
        ),
        (
            {},
            {"validation_split": None},
            "Received: objective='val_loss'. Pass `validation_data`",
        ),
        (
            {"folds": 2},
            {},
            "`validation_split` must be omitted with `folds`",
        ),
        (
            {"folds": 17},
            {"validation_split": None},
            "at most the number of samples, 16",
        ),
        (
            {},
            {"groups": toys.Y},
            "`groups` must be omitted unless the tuner has `folds`",
        ),
        (
            {},
            {"callbacks": [CannotCopy()]},
            "Received: CannotCopy, which raises RuntimeError: mine alone",
        ),
        (
            {"stopper": search.ASHA(min_epochs=9)},
            {},
            "complete trial, 2. Received: min_epochs=9",
        ),
    ],
)
def test_bad_input_ends_a_search_before_it_costs_anything(
    tuner, options, arguments, message
):
    made = tuner(**copy.deepcopy(options))
    given = {"validation_split": 0.5, "epochs": 2, "verbose": 0, **arguments}
    with pytest.raises(ValueError, match=message):
        made.search(toys.X, toys.Y, **given)
    assert not made.oracle.end_order


@pytest.mark.parametrize(
    "options, error, message",
    [
        ({"oracle": 3}, TypeError, "Received: oracle=3"),
        ({"stopper": "asha"}, TypeError, "Received: stopper='asha'"),
        (
            {"constraints": [5]},
            TypeError,
            "another `Constraint`. Received: constraints=\\[5\\]",
        ),
        ({"hypermodel": None}, ValueError, "Received: hypermodel=None"),
        (
            {"executions_per_trial": 0},
            ValueError,
            "Received: executions_per_trial=0",
        ),
        ({"patience": 0}, ValueError, "Received: patience=0"),
        ({"max_time": -1}, ValueError, "Received: max_time=-1"),
        ({"keep_weights": "some"}, ValueError, "Received: keep_weights='some'"),
        ({"resume": "day"}, ValueError, "Received: resume='day'"),
        ({"workers": 0}, ValueError, "Received: workers=0"),
        ({"isolate": True}, ValueError, "`isolate` needs an `executor`"),
        ({"executor": 0}, ValueError, "at least 1. Received: executor=0"),
        ({"executor": True}, TypeError, "Received: executor=True"),
        ({"executor": "2"}, TypeError, "number of processes on this machine"),
        ({"score_epoch": "mean"}, ValueError, "Received: score_epoch='mean'"),
        (
            lambda: {"constraints": search.MaxBytes(0)},
            ValueError,
            "Received: at_most=0",
        ),
        (
            {"constraints": [search.MaxMACs(1), search.MaxMACs(2)]},
            ValueError,
            r"cost once. Received: constraints of \['macs', 'macs'\]",
        ),
    ],
)
def test_bad_settings_are_refused_at_once(tuner, options, error, message):
    with pytest.raises(error, match=message):
        tuner(**(options() if callable(options) else options))


def test_an_oracle_belongs_to_one_tuner(tuner):
    oracle = toys.random_oracle()
    tuner(oracle=oracle)
    with pytest.raises(ValueError, match="a new one for each tuner"):
        tuner(oracle=oracle, project_name="other")


def test_a_diverged_trial_fails_and_is_not_the_best(run):
    class Diverges(toys.Curves):
        def fit(self, hp, model, *args, callbacks=(), **kwargs):
            class Nan(keras.callbacks.Callback):
                def on_epoch_end(self, epoch, logs=None):
                    if hp.get("x") < 0.4:
                        logs["v"] = math.nan

            more = [toys.Curve(hp.get("x")), Nan(), *callbacks]
            return model.fit(*args, callbacks=more, **kwargs)

    oracle = toys.random_oracle(
        toys.lowest("v"), 6, max_consecutive_failed_trials=10
    )
    found = run(Diverges(), oracle, stopper=search.ASHA(eta=2))
    for trial in found.oracle.trials.values():
        diverged = trial.hyperparameters.get("x") < 0.4
        assert trial.status == ("FAILED" if diverged else "COMPLETED")
    assert found.oracle.get_best_trials(6)[0].score > 0
