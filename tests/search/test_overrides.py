"""`HyperModel.fit` and `run_trial` with arguments of their own."""

import functools

import keras
import keras_tuner
import numpy as np
import pytest
from search import toys

from keras_netopt import search
from keras_netopt.search.running.fit_arguments import declared_arguments
from keras_netopt.warnings import NoEffectWarning

TRAIN = HELD_OUT = toys.X, toys.Y  # The loss falls with each epoch.


class Own(keras_tuner.HyperModel):
    """Declares neither `callbacks` nor `epochs`."""

    def build(self, hp):
        return toys.build(hp)

    def fit(self, hp, model, x, y):
        return model.fit(x, y, epochs=3, validation_data=HELD_OUT)


class Returns(Own):
    """Two sets of samples by position; returns the score."""

    def fit(self, hp, model, train, held_out):
        model.fit(*train, epochs=2)
        return {"val_loss": model.evaluate(*held_out)[0], "other": 1.0}


@pytest.mark.no_backend
def test_only_declared_arguments_are_injected():
    injected = {"callbacks": [1], "epochs": 2}

    def own(x, epochs=1):
        pass

    def every(x, **kwargs):
        pass

    class Callable:
        def fit(self, hp, callbacks=None, /, *, epochs):
            pass

    partial = functools.partial(every, 1)
    assert declared_arguments(own, injected) == {"epochs": 2}
    assert declared_arguments(every, injected) == injected
    assert declared_arguments(partial, injected) == injected
    assert declared_arguments(Callable().fit, injected) == {"epochs": 2}
    assert declared_arguments(dict.get, injected) == {}


@pytest.mark.parametrize(
    "hypermodel, args",
    [(Own(), TRAIN), (Returns(), (TRAIN, HELD_OUT))],
    ids=["history", "value"],
)
def test_a_fit_without_callbacks_is_scored_and_its_weights_kept(
    tuner, hypermodel, args
):
    made = tuner(hypermodel, toys.random_oracle(trials=2))
    made.search(*args)
    trials = made.oracle.trials.values()
    assert {trial.status for trial in trials} == {"COMPLETED"}
    [model], [best] = made.get_best_models(), made.oracle.get_best_trials()
    found = model.evaluate(*HELD_OUT)[0]
    assert best.score == pytest.approx(found, rel=1e-5)


@pytest.mark.no_backend
def test_a_dictionary_with_all_of_several_objectives_is_their_sum(tuner):
    class Both(Own):
        def fit(self, hp, model):
            return {"u": hp.get("rate"), "v": 3 * hp.get("rate"), "w": 9.0}

    objectives = [toys.lowest("u"), keras_tuner.Objective("v", "max")]
    made = tuner(Both(), toys.random_oracle(objectives, 2))
    made.search()
    for trial in made.oracle.trials.values():
        rate = trial.hyperparameters.get("rate")
        assert trial.score == pytest.approx(-2 * rate)


@pytest.mark.no_backend
def test_a_fit_that_returns_nothing_is_named(tuner):
    class Nothing(Own):
        def fit(self, hp, model):
            pass

    with pytest.raises(keras_tuner.errors.FatalTypeError) as found:
        tuner(Nothing()).search()
    assert "return value of HyperModel.fit() is None" in str(found.value)


def test_what_a_fit_without_callbacks_would_lose_is_told(tuner):
    made = tuner(Own(), stopper=search.ASHA())
    with pytest.warns(NoEffectWarning) as found:
        made.search(*TRAIN)
    told = [one for one in found if "does not declare" in str(one.message)]
    assert len(told) == 1 and "stops no trial" in str(told[0].message)

    made = tuner(Own(), overwrite=True)
    with pytest.raises(TypeError, match="`HyperModel.fit` declares it"):
        made.search(*TRAIN, callbacks=[keras.callbacks.Callback()])

    made = tuner(Own(), folds=2, overwrite=True)
    message = r"must declare \['x', 'y', 'validation_data'\]"
    with pytest.raises(TypeError, match=message):
        made.search(*TRAIN)
    assert not made.oracle.trials


def test_hyperband_needs_a_fit_that_takes_its_epochs(tuner):
    oracle = search.HyperbandOracle("val_loss", 2, factor=2, seed=0)
    made = tuner(Own(), oracle)
    with pytest.raises(TypeError, match="must declare `epochs` and"):
        made.search(*TRAIN)
    assert not oracle.end_order


class Loop(search.Tuner):
    """Trains by hand, as KerasTuner's older guide: the loss rises again."""

    losses = 3.0, 1.0, 2.0

    def run_trial(self, trial, *data):
        model = self.hypermodel.build(trial.hyperparameters)
        for epoch, loss in enumerate(self.losses):
            model.line.assign([loss, 0.0])
            logs = {"loss": np.float32(loss), "name": "text"}
            self.on_epoch_end(trial, model, epoch, logs=logs)


@pytest.mark.parametrize("score_epoch", ["best", "last"])
def test_a_loop_in_run_trial_reports_by_on_epoch_end(tmp_path, score_epoch):
    made = Loop(
        toys.build,
        toys.random_oracle(toys.lowest("loss"), 2),
        score_epoch=score_epoch,
        directory=tmp_path,
    )
    made.search(toys.X, toys.Y)
    wanted, step = (1.0, 1) if score_epoch == "best" else (2.0, 2)
    for trial in made.oracle.trials.values():
        assert trial.score == wanted and trial.best_step == step
    [model] = made.get_best_models()
    assert keras.ops.convert_to_numpy(model.line)[0] == wanted


def test_a_loop_that_reports_nothing_must_return_a_score(tmp_path):
    class Silent(Loop):
        losses = ()

    made = Silent(toys.build, toys.random_oracle(), directory=tmp_path)
    with pytest.raises(TypeError, match="Did you forget to return"):
        made.search(toys.X, toys.Y)


def test_a_hook_that_calls_its_base_class_reports_once(tmp_path):
    class Mine(search.Tuner):
        def on_epoch_end(self, trial, model, epoch, logs=None):
            super().on_epoch_end(trial, model, epoch, {"val_loss": -1e3})

    made = Mine(toys.build, toys.random_oracle(trials=1), directory=tmp_path)
    made.search(toys.X, toys.Y, epochs=2, verbose=0, validation_split=0.5)
    assert made.oracle.trials["0"].score > 0
