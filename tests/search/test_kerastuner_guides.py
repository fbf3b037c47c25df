"""The use cases of KerasTuner's guides, with one class name changed.

Each script runs with a tuner of KerasTuner and with tuners of this package.
"""

import gc
import inspect
import warnings

import keras
import keras_tuner
import numpy as np
import pytest

from keras_netopt import search

pytestmark = [
    pytest.mark.filterwarnings("ignore:currentThread:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:getName:DeprecationWarning"),
]
EVERY = pytest.mark.parametrize(
    "tuner_class",
    [
        keras_tuner.RandomSearch,
        search.RandomSearch,
        search.TPE,
        search.RegularizedEvolution,
        search.GridSearch,
    ],
    ids=lambda found: f"{found.__module__.partition('.')[0]}-{found.__name__}",
)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(32, 6)).astype("float32")
Y = (X[:, 0] > 0).astype("int32")
X_VAL, Y_VAL = X[:16], Y[:16]


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # Before each model KerasTuner and Keras collect garbage, for half a second.
    monkeypatch.setattr(gc, "collect", lambda *_: 0)


def classifier(hp):
    """A compiled classifier with a conditional layer."""
    model = keras.Sequential([keras.Input((6,))])
    for i in range(hp.Int("num_layers", 1, 2)):
        units = hp.Int(f"units_{i}", 2, 6, step=2)
        model.add(keras.layers.Dense(units, activation="relu"))
    if hp.Boolean("dropout"):
        model.add(keras.layers.Dropout(0.25))
    model.add(keras.layers.Dense(2, activation="softmax"))
    rate = hp.Float("lr", 1e-4, 1e-1, sampling="log")
    model.compile(
        keras.optimizers.Adam(rate),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        run_eagerly=True,
    )
    return model


def regressor(hp):
    model = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(hp.Int("units", 2, 8, step=2)),
            keras.layers.Dense(1),
        ]
    )
    model.compile("adam", "mse", metrics=["mae"], run_eagerly=True)
    return model


def statuses(tuner):
    return {trial.status for trial in tuner.oracle.trials.values()}


def best_models(tuner, num_models=1):
    """KerasTuner skips the optimizer's variables with a warning."""
    with warnings.catch_warnings():
        if not isinstance(tuner, search.Tuner):
            warnings.filterwarnings("ignore", "Skipping variable loading")
        return tuner.get_best_models(num_models=num_models)


# Guide 1: getting started.


@EVERY
def test_a_search_and_its_best_models(tuner_class, capsys):
    tuner = tuner_class(
        hypermodel=classifier,
        objective="val_accuracy",
        max_trials=3,
        executions_per_trial=2,
        overwrite=True,
        directory="my_dir",
        project_name="helloworld",
    )
    tuner.search_space_summary()
    tuner.search(X, Y, epochs=2, validation_data=(X_VAL, Y_VAL), verbose=0)
    tuner.results_summary()
    assert "num_layers (Int)" in capsys.readouterr().out
    assert len(tuner.oracle.trials) == 3 and statuses(tuner) == {"COMPLETED"}
    models = best_models(tuner, num_models=2)
    assert len(models) == 2
    assert models[0].predict(X_VAL, verbose=0).shape == (16, 2)

    best = tuner.get_best_hyperparameters(5)
    model = classifier(best[0])
    model.fit(X, Y, epochs=1, verbose=0)


@EVERY
def test_the_training_is_tuned(tuner_class):
    class Shuffled(keras_tuner.HyperModel):
        def build(self, hp):
            return classifier(hp)

        def fit(self, hp, model, *args, **kwargs):
            return model.fit(*args, shuffle=hp.Boolean("shuffle"), **kwargs)

    tuner = tuner_class(
        Shuffled(),
        objective="val_accuracy",
        max_trials=3,
        overwrite=True,
        directory="my_dir",
        project_name="tune_hypermodel",
    )
    tuner.search(X, Y, epochs=1, validation_data=(X_VAL, Y_VAL), verbose=0)
    best = tuner.get_best_hyperparameters()[0]
    assert "shuffle" in best.values
    model = tuner.hypermodel.build(best)
    history = tuner.hypermodel.fit(best, model, X, Y, epochs=1, verbose=0)
    assert history.history["loss"]


@EVERY
def test_the_preprocessing_is_tuned_with_arguments_by_position(tuner_class):
    class Normalized(keras_tuner.HyperModel):
        def build(self, hp):
            return classifier(hp)

        def fit(self, hp, model, train, held_out, callbacks=None):
            x, y = train
            if hp.Boolean("normalize"):
                x = (x - x.mean()) / x.std()
            return model.fit(
                x, y, validation_data=held_out, callbacks=callbacks, verbose=0
            )

    tuner = tuner_class(
        Normalized(), objective="val_loss", max_trials=2, directory="my_dir"
    )
    tuner.search((X, Y), (X_VAL, Y_VAL))
    assert len(tuner.oracle.trials) == 2 and statuses(tuner) == {"COMPLETED"}
    assert best_models(tuner)[0].count_params()


@EVERY
def test_a_metric_of_the_user_is_the_objective(tuner_class):
    @keras.saving.register_keras_serializable()
    class Largest(keras.metrics.Metric):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.largest = self.add_variable((), "zeros", name="largest")

        def update_state(self, y_true, y_pred, sample_weight=None):
            found = keras.ops.max(keras.ops.abs(y_pred))
            self.largest.assign(keras.ops.maximum(self.largest, found))

        def result(self):
            return keras.ops.convert_to_tensor(self.largest)

        def reset_state(self):
            self.largest.assign(0.0)

    def build(hp):
        model = regressor(hp)
        model.compile("adam", "mse", metrics=[Largest()], run_eagerly=True)
        return model

    tuner = tuner_class(
        hypermodel=build,
        objective=keras_tuner.Objective("val_largest", direction="min"),
        max_trials=2,
        overwrite=True,
        directory="my_dir",
        project_name="custom_metrics",
    )
    tuner.search(X, Y, epochs=1, validation_data=(X_VAL, Y_VAL), verbose=0)
    model = best_models(tuner)[0]
    score = tuner.oracle.get_best_trials()[0].score
    largest = np.abs(model.predict(X_VAL, verbose=0)).max()
    assert score == pytest.approx(largest, rel=1e-4)


class Returns(keras_tuner.HyperModel):
    """Trains, then returns the error on held-out data, or a dict with it."""

    def __init__(self, form):
        super().__init__()
        self.form = form
        self.returned = []

    def build(self, hp):
        return regressor(hp)

    def fit(self, hp, model, x, y, validation_data, **kwargs):
        model.fit(x, y, validation_data=validation_data, **kwargs)
        inputs, targets = validation_data
        answers = model.predict(inputs, verbose=0)[:, 0]
        self.returned.append(float(np.mean(np.abs(answers - targets))) + 1.0)
        return self.form(self.returned[-1])


@EVERY
def test_a_returned_float_is_minimized(tuner_class):
    hypermodel = Returns(float)
    tuner = tuner_class(
        hypermodel=hypermodel,
        max_trials=3,
        overwrite=True,
        directory="my_dir",
        project_name="custom_eval",
    )
    tuner.search(X, Y, validation_data=(X_VAL, Y_VAL), epochs=2, verbose=0)
    best = tuner.oracle.get_best_trials()[0]
    assert best.score == pytest.approx(min(hypermodel.returned))
    assert best_models(tuner)[0].count_params()


@EVERY
def test_a_returned_dictionary_is_the_score_whatever_the_epochs_were(
    tuner_class,
):
    """`val_loss` of an epoch is lower than the value that is returned."""
    hypermodel = Returns(lambda value: {"val_loss": value, "other": 1.0})
    tuner = tuner_class(
        hypermodel,
        objective="val_loss",
        max_trials=2,
        executions_per_trial=2,
        directory="my_dir",
    )
    tuner.search(X, Y, validation_data=(X_VAL, Y_VAL), epochs=2, verbose=0)
    pairs = np.reshape(hypermodel.returned, (2, 2)).mean(axis=1)
    trials = [tuner.oracle.trials[name] for name in tuner.oracle.end_order]
    assert [t.score for t in trials] == pytest.approx(pairs.tolist())
    assert trials[0].metrics.get_last_value("other") == 1.0


@EVERY
def test_any_function_is_searched(tuner_class):
    class Parabola(tuner_class):
        def run_trial(self, trial, offset, *args, **kwargs):
            x = trial.hyperparameters.Float("x", -1.0, 1.0)
            return x * x + offset

    tuner = Parabola(max_trials=4, overwrite=True, directory="my_dir")
    tuner.search(1.0)
    best = tuner.get_best_hyperparameters()[0]
    score = tuner.oracle.get_best_trials()[0].score
    assert score == pytest.approx(best.get("x") ** 2 + 1.0)


@EVERY
def test_training_code_of_its_own_needs_no_hypermodel(tuner_class):
    class MyTuner(tuner_class):
        def run_trial(self, trial, data):
            model = regressor(trial.hyperparameters)
            history = model.fit(*data, verbose=0)
            model.save(f"{trial.trial_id}.keras")
            return history.history["loss"][-1]

    tuner = MyTuner(
        objective=keras_tuner.Objective("loss", "min"),
        max_trials=2,
        directory="my_dir",
        project_name="keep_code_separate",
    )
    tuner.search(data=(X, Y))
    best = tuner.oracle.get_best_trials()[0]
    model = keras.saving.load_model(f"{best.trial_id}.keras")
    assert model.count_params()


@EVERY
def test_run_trial_of_a_subclass_may_call_the_tuner_s(tuner_class):
    class Batches(tuner_class):
        def run_trial(self, trial, *args, **kwargs):
            sizes = trial.hyperparameters
            kwargs["batch_size"] = sizes.Int("batch_size", 8, 16, step=8)
            return super().run_trial(trial, *args, **kwargs)

    tuner = Batches(
        regressor, objective="val_loss", max_trials=2, directory="my_dir"
    )
    tuner.search(X, Y, epochs=1, validation_split=0.5, verbose=0)
    assert "batch_size" in tuner.get_best_hyperparameters()[0].values
    assert statuses(tuner) == {"COMPLETED"}


# Guide 2: tailor the search space.


def tailored():
    hp = keras_tuner.HyperParameters()
    hp.Fixed("lr", value=1e-3)
    hp.Choice("units_0", [2, 6])
    return hp


@EVERY
@pytest.mark.parametrize("tune_new_entries", [True, False])
def test_a_tailored_space_is_searched_and_reopened(
    tuner_class, tune_new_entries
):
    def make():
        return tuner_class(
            classifier,
            hyperparameters=tailored(),
            tune_new_entries=tune_new_entries,
            objective="val_accuracy",
            max_trials=2,
            directory="my_dir",
            project_name="search_a_few",
        )

    tuner = make()
    tuner.search(X, Y, epochs=1, validation_data=(X_VAL, Y_VAL), verbose=0)
    for trial in tuner.oracle.trials.values():
        values = trial.hyperparameters.values
        assert values["lr"] == 1e-3 and values["units_0"] in (2, 6)
    names = {one.name for one in tuner.oracle.get_space().space}
    assert ("num_layers" in names) == tune_new_entries
    if tuner_class is not keras_tuner.GridSearch:
        again = make()
        assert set(again.oracle.trials) == set(tuner.oracle.trials)


@EVERY
def test_compile_arguments_are_replaced(tuner_class):
    tuner = tuner_class(
        regressor,
        optimizer=keras.optimizers.SGD(1e-3),
        loss="mae",
        metrics=["mse"],
        objective="val_loss",
        max_trials=2,
        overwrite=True,
        directory="my_dir",
        project_name="different_loss",
    )
    tuner.search(X, Y, epochs=1, validation_data=(X_VAL, Y_VAL), verbose=0)
    trial = tuner.oracle.get_best_trials()[0]
    assert trial.metrics.exists("val_mse") and not trial.metrics.exists("mae")
    model = best_models(tuner)[0]
    assert type(model.optimizer).__name__ == "SGD" and model.loss == "mae"


# Guide 3: a custom training loop.


class Loop(keras_tuner.HyperModel):
    """A linear model trained by hand, and never compiled."""

    def build(self, hp):
        inputs = keras.Input((6,))
        bias = hp.Boolean("bias")
        return keras.Model(inputs, keras.layers.Dense(1, use_bias=bias)(inputs))

    def fit(self, hp, model, x, y, validation_data, callbacks=None, **kwargs):
        rate = hp.Float("learning_rate", 1e-3, 1e-1, sampling="log")
        for callback in callbacks:
            callback.set_model(model)
        best = float("inf")
        for epoch in range(2):
            kernel = keras.ops.convert_to_numpy(model.layers[-1].kernel)
            errors = x @ kernel - y[:, None]
            model.layers[-1].kernel.assign(kernel - rate * x.T @ errors)
            inputs, targets = validation_data
            answers = keras.ops.convert_to_numpy(model(inputs))
            loss = float(np.mean((answers[:, 0] - targets) ** 2))
            for callback in callbacks:
                callback.on_epoch_end(epoch, logs={"my_metric": loss})
            best = min(best, loss)
        return best


@EVERY
def test_a_custom_training_loop_keeps_the_best_epoch(tuner_class):
    tuner = tuner_class(
        objective=keras_tuner.Objective("my_metric", "min"),
        max_trials=2,
        hypermodel=Loop(),
        directory="results",
        project_name="custom_training",
        overwrite=True,
    )
    tuner.search(x=X, y=Y, validation_data=(X_VAL, Y_VAL), verbose=0)
    best = tuner.oracle.get_best_trials()[0]
    model = best_models(tuner)[0]
    answers = keras.ops.convert_to_numpy(model(X_VAL))[:, 0]
    assert best.score == pytest.approx(np.mean((answers - Y_VAL) ** 2))


# Guide 4: failed trials.


@EVERY
def test_failed_trials_are_skipped(tuner_class, capsys):
    def build(hp):
        units = [hp.Int(f"units_{i}", 2, 8, step=2) for i in range(2)]
        if sum(units) > 8:
            raise keras_tuner.errors.FailedTrialError("Model too large.")
        return regressor(hp)

    tuner = tuner_class(
        hypermodel=build,
        objective="val_loss",
        max_trials=6,
        seed=3,
        overwrite=True,
        max_retries_per_trial=1,
        max_consecutive_failed_trials=6,
        directory="my_dir",
    )
    tuner.search(X, Y, epochs=1, validation_split=0.5, verbose=0)
    tuner.results_summary()
    assert statuses(tuner) <= {"COMPLETED", "FAILED"}
    for trial in tuner.oracle.trials.values():
        values = trial.hyperparameters.values
        is_large = values["units_0"] + values["units_1"] > 8
        assert trial.status == ("FAILED" if is_large else "COMPLETED")
        assert not is_large or "Model too large." in trial.message


@EVERY
def test_too_many_failed_trials_end_the_search(tuner_class):
    def build(hp):
        if hp.Int("units", 2, 64) and len(calls) > 1:
            raise ValueError("never")
        calls.append(1)
        return regressor(hp)

    calls = []
    tuner = tuner_class(
        hypermodel=build,
        objective="val_loss",
        max_trials=9,
        max_consecutive_failed_trials=3,
        directory="my_dir",
    )
    with pytest.raises(RuntimeError, match="consecutive failures"):
        tuner.search(X, Y, epochs=1, validation_split=0.5, verbose=0)


# Guide 5: visualize the tuning process.


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="TensorBoard needs it"
)
@EVERY
def test_tensorboard_has_one_folder_per_trial(tuner_class, tmp_path):
    tuner = tuner_class(
        classifier,
        max_trials=2,
        overwrite=True,
        objective="val_accuracy",
        directory="tb",
    )
    tuner.search(
        X,
        Y,
        validation_split=0.5,
        epochs=1,
        verbose=0,
        callbacks=[keras.callbacks.TensorBoard(str(tmp_path / "tb_logs"))],
    )
    folders = {path.name for path in (tmp_path / "tb_logs").iterdir()}
    assert folders == set(tuner.oracle.trials)


# Hyperband has a budget of epochs instead of `max_trials`.


@pytest.mark.parametrize(
    ("tuner_class", "hypermodel"),
    [
        # KerasTuner's own loads no optimizer, with a warning: an error here.
        (keras_tuner.Hyperband, Loop()),
        (search.Hyperband, Loop()),
        (search.Hyperband, classifier),
    ],
)
def test_hyperband_is_called_as_kerastuner_s(tuner_class, hypermodel):
    name = "val_loss" if hypermodel is classifier else "my_metric"
    tuner = tuner_class(
        hypermodel,
        objective=keras_tuner.Objective(name, "min"),
        max_epochs=4,
        factor=2,
        hyperband_iterations=1,
        seed=1,
        overwrite=True,
        directory="my_dir",
    )
    tuner.search(X, Y, validation_data=(X_VAL, Y_VAL), verbose=0)
    trials = tuner.oracle.trials.values()
    assert statuses(tuner) == {"COMPLETED"}
    assert any("tuner/trial_id" in t.hyperparameters.values for t in trials)
    assert best_models(tuner)[0].count_params()


def test_an_oracle_of_this_package_serves_a_tuner_of_kerastuner():
    tuner = keras_tuner.Tuner(
        oracle=search.TPEOracle("val_loss", 2),
        hypermodel=regressor,
        directory="my_dir",
    )
    tuner.search(X, Y, validation_split=0.5, epochs=1, verbose=0)
    assert len(tuner.oracle.trials) == 2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: search.TPEOracle(classifier), r"`search.TPE\(build, ...\)`"),
        (lambda: search.NSGA2Oracle(Loop()), r"`search.NSGA2\(build, ...\)`"),
        (
            lambda: search.TPE(search.TPEOracle("val_loss")),
            r"`search.Tuner\(build, oracle=...\)`",
        ),
        (
            lambda: search.TPE(classifier, oracle=search.TPEOracle("val_loss")),
            r"`search.Tuner\(build, oracle=...\)`",
        ),
        (lambda: search.TPE("val_loss", 50), "is `search.TPEOracle`"),
        (
            lambda: search.Tuner(search.TPEOracle("val_loss"), classifier),
            r"`search.Tuner\(build, oracle=...\)`",
        ),
        (
            lambda: search.TPE(classifier, gama=0.1),
            r"TPE.__init__\(\) got an unexpected keyword argument 'gama'",
        ),
    ],
)
def test_an_oracle_and_a_tuner_are_not_confused(make, message):
    with pytest.raises(TypeError, match=message):
        make()


def test_arguments_are_those_of_kerastuner_in_their_order():
    for name in ("RandomSearch", "GridSearch", "Hyperband"):
        theirs = inspect.signature(getattr(keras_tuner, name)).parameters
        ours = inspect.signature(getattr(search, name)).parameters
        shared = [one for one in theirs if one != "kwargs"]
        assert list(ours)[: len(shared)] == shared
        every = inspect.signature(keras_tuner.Tuner).parameters
        assert {*every} - {"oracle", "kwargs"} <= {*ours}
        for one in shared:
            assert ours[one].default == theirs[one].default
            assert f"    {one}: " in inspect.getdoc(getattr(search, name))
    for name in ("n_startup_trials", "gamma", "stopper", "logger", "folds"):
        assert name in inspect.signature(search.TPE).parameters
        assert f"    {name}: " in inspect.getdoc(search.TPE)
