"""Searches in this process: scores, stoppers, folds and promoted trials."""

import keras
import keras_tuner
import numpy as np
import pytest
from search import toys
from search.toys import curves

from keras_netopt import search


def build_dense(hp):
    hp.Float("rate", 1e-3, 0.5, sampling="log")
    return toys.dense()


def test_every_epoch_is_reported_and_the_best_one_counts(run):
    """Keras trains here; elsewhere a model trains by hand."""
    found = run(build_dense, toys.random_oracle(trials=2))
    trial = found.oracle.trials["0"]
    history = trial.metrics.get_history("val_loss")
    assert [one.step for one in history] == [0, 1]
    assert trial.score == min(one.mean() for one in history)
    assert trial.metrics.get_last_value("epochs") == 2
    assert trial.metrics.exists("val_mae")
    model = found.get_best_models(1)[0]
    score = model.evaluate(toys.X[8:], toys.Y[8:], verbose=0)[0]
    assert score == pytest.approx(found.oracle.get_best_trials()[0].score)
    best = found.oracle.get_best_trials()[0]
    assert int(model.optimizer.iterations.numpy()) == best.best_step + 1


@pytest.mark.parametrize("folds", [None, 2])
def test_the_last_epoch_counts_where_the_search_says_so(run, folds):
    """The values fall, and the highest one is the best."""
    highest = keras_tuner.Objective("v", "max")
    found = run(
        toys.Curves(),
        toys.random_oracle(highest),
        epochs=4,
        score_epoch="last",
        folds=folds,
    )
    for trial in found.oracle.trials.values():
        x = trial.hyperparameters.get("x")
        assert trial.score == pytest.approx(toys.curve(x, 3))
        assert trial.best_step == 3
        name = "epoch/v" if folds is None else "fold0/v"
        assert len(trial.metrics.get_history(name)) == 4
    model = found.get_best_models(1)[0]
    assert int(model.optimizer.iterations.numpy()) == 4


@pytest.mark.parametrize("score_epoch", ["best", "last"])
def test_kerastuner_s_several_objectives_are_summed(run, score_epoch):
    goals = [keras_tuner.Objective("v", "min")]
    goals += [keras_tuner.Objective("val_mae", "max")]
    found = run(
        toys.Curves(), toys.random_oracle(goals, 2), score_epoch=score_epoch
    )
    for trial in found.oracle.trials.values():
        metrics = trial.metrics
        v, mae = map(metrics.get_last_value, ("v", "val_mae"))
        assert trial.score == pytest.approx(v - mae)
        for goal in goals if score_epoch == "last" else ():
            kept = metrics.metrics[f"epoch/{goal.name}"]
            assert kept.direction == goal.direction


def test_the_last_weights_are_kept_where_the_last_epoch_counts(run):
    """Whatever the user's callbacks put back at the end."""
    early = keras.callbacks.EarlyStopping(
        "val_loss", mode="max", patience=9, restore_best_weights=True
    )
    found = run(score_epoch="last", epochs=3, callbacks=[early])
    best = found.oracle.get_best_trials()[0]
    model = found.get_best_models(1)[0]
    score = model.evaluate(toys.X[8:], toys.Y[8:], verbose=0)[0]
    assert best.best_step == 2
    assert score == pytest.approx(best.score)


def test_the_weights_of_the_highest_value_are_kept(run, monkeypatch):
    values = [0.2, 0.9, 0.5]
    monkeypatch.setattr(toys, "curve", lambda x, epoch: values[epoch])
    highest = keras_tuner.Objective("v", "max")
    found = run(toys.Curves(), toys.random_oracle(highest, 1), epochs=3)
    [model] = found.get_best_models(1)
    assert int(model.optimizer.iterations.numpy()) == 2


def test_the_seed_decides_the_first_weights(run):
    """The learning rate of these trials is fixed."""

    def score(project, seed):
        oracle = toys.random_oracle(trials=1, seed=seed)
        found = run(toys.Curves(), oracle, epochs=1, project_name=project)
        return found.oracle.trials["0"].score

    assert score("first", 1) == score("again", 1) != score("other", 2)


def halve(run, **options):
    return run(*curves(), epochs=8, stopper=search.ASHA(eta=2), **options)


@pytest.fixture(scope="module")
def halved(run_once):
    return halve(run_once, project_name="halved").oracle


def test_a_stopper_hears_each_epoch_where_the_last_counts(run, halved):
    found = halve(run, score_epoch="last").oracle
    for name in found.trials:
        for metric in ("epochs", "stopped_epoch"):
            both = [one.trials[name].metrics for one in (found, halved)]
            assert len({m.exists(metric) for m in both}) == 1
            if both[0].exists(metric):
                last = [m.get_last_value(metric) for m in both]
                assert last[0] == last[1]
    with pytest.raises(
        ValueError, match="a search with the same score_epoch, last"
    ):
        halve(run)


def test_asha_spends_fewer_epochs_and_ranks_whole_trials_first(halved):
    trials = halved.trials.values()
    spent = [trial.metrics.get_last_value("epochs") for trial in trials]
    stopped = [trial.metrics.exists("stopped_epoch") for trial in trials]
    assert sum(spent) <= 60 < 96
    assert [s < 8 for s in spent] == stopped
    assert {trial.status for trial in trials} == {"COMPLETED"}
    ranked = [
        trial.metrics.exists("stopped_epoch")
        for trial in halved.get_best_trials(12)
    ]
    assert ranked == sorted(ranked) and any(ranked) and not all(ranked)
    # What a trial had at its rung does not depend on the stopper.
    for trial in trials:
        for one in trial.metrics.get_history("v"):
            known = toys.curve(trial.hyperparameters.get("x"), one.step)
            assert one.mean() == pytest.approx(known)


def test_a_score_to_maximize_stops_the_low_ones(run):
    objective = keras_tuner.Objective("high", "max")

    class High(toys.Curves):
        def fit(self, hp, model, *args, callbacks=(), **kwargs):
            class Add(keras.callbacks.Callback):
                def on_epoch_end(self, epoch, logs=None):
                    logs["high"] = hp.get("x") * (epoch + 1)

            return model.fit(*args, callbacks=[Add(), *callbacks], **kwargs)

    oracle = toys.random_oracle(objective, 6)
    found = run(High(), oracle, epochs=4, stopper=search.ASHA(eta=2))
    highest = 0.0
    for name in oracle.end_order[:3]:
        trial = found.oracle.trials[name]
        x = trial.hyperparameters.get("x")
        assert trial.metrics.exists("stopped_epoch") == (x < highest)
        highest = max(highest, x)


def test_folds_equal_a_loop_by_hand(run, tuner):
    found = run(
        folds=3, executions_per_trial=2, oracle=toys.random_oracle(trials=2)
    )
    trial = found.oracle.trials["0"]
    rate = trial.hyperparameters.get("rate")
    scores = []
    for fold, (train, held_out) in enumerate(search.KFold(3).split(16)):
        for execution in range(2):
            name = f"fold{fold}/execution{execution}"
            keras.utils.set_random_seed(found.execution_seed("0", name))
            model = toys.tiny(None, rate)
            history = model.fit(
                toys.X[train],
                toys.Y[train],
                batch_size=16,
                epochs=2,
                validation_data=(toys.X[held_out], toys.Y[held_out]),
                verbose=0,
            ).history
            scores.append(min(history["val_loss"]))
            kept = trial.metrics.get_best_value(f"{name}/val_loss")
            assert kept == pytest.approx(scores[-1], rel=1e-5)
    assert trial.score == pytest.approx(np.mean(scores), rel=1e-6)
    std = trial.metrics.get_last_value("val_loss_std")
    assert std == pytest.approx(np.std(scores, ddof=1), rel=1e-5)
    assert trial.metrics.get_last_value("folds_done") == 3
    assert found.get_best_models(1)


def test_a_stopper_decides_in_the_first_fold(run):
    found = run(
        *curves(6), epochs=4, folds=3, stopper=search.ASHA(eta=2)
    ).oracle.trials.values()
    done = [trial.metrics.get_last_value("folds_done") for trial in found]
    stopped = [trial.metrics.exists("stopped_epoch") for trial in found]
    assert [folds == 1 for folds in done] == stopped
    assert any(stopped) and not all(stopped)
    # `v` is the same in each fold.
    assert all(trial.score == pytest.approx(_v(trial)) for trial in found)


def _v(trial):
    epochs = trial.metrics.get_last_value("epochs")
    folds = trial.metrics.get_last_value("folds_done")
    return (trial.hyperparameters.get("x") - 0.3) ** 2 + folds / epochs


class Adaptive(keras_tuner.HyperModel):
    """Keeps the weights with which each trial ends."""

    def __init__(self):
        super().__init__()
        self.ends = {}

    def build(self, hp):
        model = toys.Line()
        rate = hp.Float("rate", 1e-3, 0.3, sampling="log")
        model.compile(keras.optimizers.Adam(rate), "mse")
        return model

    def fit(self, hp, model, *args, **kwargs):
        history = model.fit(*args, **kwargs)
        key = hp.get("rate"), hp.values["tuner/epochs"]
        self.ends[key] = model.get_weights(), model.optimizer
        return history


def test_a_promoted_trial_continues_with_optimizer_and_epoch(run):
    """As one training without a pause, and the budget is what was trained."""
    hypermodel = Adaptive()
    found = run(
        hypermodel,
        search.HyperbandOracle(
            "val_loss", 4, factor=2, defaults_first=False, seed=3
        ),
    )
    trials = found.oracle.trials.values()
    promoted = [
        t for t in trials if "tuner/trial_id" in t.hyperparameters.values
    ]
    spent = sum(trial.metrics.get_last_value("epochs") for trial in trials)
    assert promoted and spent == found.oracle.budget.epochs
    for trial in promoted:
        values = trial.hyperparameters.values
        epochs, first = values["tuner/epochs"], values["tuner/initial_epoch"]
        history = trial.metrics.get_history("val_loss")
        assert [one.step for one in history] == list(range(first, epochs))
        end, optimizer = hypermodel.ends[values["rate"], epochs]
        assert int(optimizer.iterations.numpy()) == epochs

        root = trial
        while "tuner/trial_id" in root.hyperparameters.values:
            parent = root.hyperparameters.values["tuner/trial_id"]
            root = found.oracle.trials[parent]
        keras.utils.set_random_seed(found.execution_seed(root.trial_id, ""))
        model = hypermodel.build(trial.hyperparameters)
        model.fit(toys.X[:8], toys.Y[:8], epochs=epochs)
        for one, other in zip(end, model.get_weights(), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)


def test_refit_trains_as_long_as_the_best_trial_needed(run):
    found = run(epochs=3)
    model = found.refit(toys.X, toys.Y, batch_size=16, verbose=0)
    best = found.oracle.get_best_trials()[0].best_step
    assert int(model.optimizer.iterations.numpy()) == best + 1


class Deciding(keras_tuner.HyperModel):
    """Returns what it is told, and counts its epochs."""

    def __init__(self, returned):
        super().__init__()
        self.returned, self.trained = returned, []

    def build(self, hp):
        return toys.build(hp)

    def fit(self, hp, model, x, y, callbacks, epochs=1, verbose=0):
        self.trained.append(epochs)
        logs = {"v": hp.get("rate")}
        toys.train(model, lambda _: logs, callbacks, epochs)
        return logs["v"] if self.returned == "v" else logs


class Short(Deciding):
    """Declares neither callbacks nor epochs."""

    def fit(self, hp, model, x, y):
        self.trained.append(hp.Int("epochs", 1, 5))
        return hp.get("rate")


class FourEpochs(Deciding):
    """Takes everything and decides the epochs."""

    def fit(self, hp, model, *args, callbacks, **kwargs):
        return super().fit(hp, model, *args, callbacks, epochs=4, **kwargs)


@pytest.mark.parametrize("returned", ["v", "logs"])
def test_refit_trains_as_long_as_a_fit_that_returned_its_score(tuner, returned):
    def make():
        oracle = search.RandomSearchOracle(toys.lowest("v"), 2)
        return tuner(Deciding(returned), oracle)

    made = make()
    made.search(toys.X, toys.Y, epochs=3, verbose=0)
    for one in (made, make()):
        one.refit(toys.X, toys.Y)
        one.refit(toys.X, toys.Y, epochs=7)
        assert one.hypermodel.trained[-2:] == [3, 7]


@pytest.mark.parametrize("kind", [Short, FourEpochs])
def test_refit_leaves_the_epochs_to_a_fit_that_decides_them(tuner, kind):
    made = tuner(kind("v"), search.RandomSearchOracle(toys.lowest("v"), 2))
    made.search(toys.X, toys.Y)
    best = made.oracle.get_best_trials()[0].hyperparameters.values
    made.refit(toys.X, toys.Y)
    assert made.hypermodel.trained[-1] == best.get("epochs", 4)


def test_only_the_best_weights_are_kept(run, tmp_path):
    found = run(keep_weights="best")
    files = list((tmp_path / "p").glob("trial_*/*.weights.h5"))
    best = found.oracle.get_best_trials()[0].trial_id
    assert [file.parent.name for file in files] == [f"trial_{best}"]


def test_hooks_of_a_subclass_are_called(tmp_path):
    class Mine(search.Tuner):
        seen = []

        def on_epoch_end(self, trial, model, epoch, logs=None):
            self.seen.append((trial.trial_id, epoch, "loss" in logs))

    made = Mine(toys.build, toys.random_oracle(trials=1), directory=tmp_path)
    made.search(toys.X, toys.Y, epochs=2, verbose=0, validation_split=0.5)
    assert made.seen == [("0", 0, True), ("0", 1, True)]


class AsksInFit(keras_tuner.HyperModel):
    """A fixed model, and a training with something to choose."""

    def build(self, hp):
        return toys.tiny(hp)

    def fit(self, hp, model, *args, **kwargs):
        model.optimizer.learning_rate = hp.Choice("rate", [0.01, 0.1, 0.2])
        return model.fit(*args, **kwargs)


def test_what_fit_alone_asks_for_is_searched(run):
    oracle = search.RandomSearchOracle("val_loss", max_trials=3, seed=0)
    done = run(AsksInFit(), oracle)

    trials = done.oracle.trials.values()
    assert [trial.status for trial in trials] == ["COMPLETED"] * 3
    rates = {trial.hyperparameters.get("rate") for trial in trials}
    assert rates == {0.01, 0.1, 0.2}


def test_any_function_can_be_searched(tmp_path):
    class Function(search.Tuner):
        def run_trial(self, trial, *args, **kwargs):
            return {"v": trial.hyperparameters.Float("x", 0.0, 1.0)}

    oracle = toys.random_oracle(toys.lowest("v"), 3)
    made = Function(oracle=oracle, directory=tmp_path)
    made.search(verbose=0)
    assert len(oracle.trials) == 3
    assert all(
        t.score == t.hyperparameters.get("x") for t in oracle.trials.values()
    )


@pytest.mark.parametrize("tune_new_entries", [True, False])
@pytest.mark.parametrize("kind", [search.RandomSearch, search.TPE])
def test_a_space_of_fixed_values_is_one_trial_also_when_reopened(
    kind, tune_new_entries, tmp_path
):
    hp = keras_tuner.HyperParameters()
    hp.Fixed("rate", 0.25)
    for _ in range(2):
        made = kind(
            toys.build,
            objective="val_loss",
            max_trials=3,
            hyperparameters=hp,
            tune_new_entries=tune_new_entries,
            directory=tmp_path,
        )
        made.search(toys.X, toys.Y, validation_split=0.5, verbose=0)
        [trial] = made.oracle.trials.values()
        assert trial.hyperparameters.values == {"rate": 0.25}
        assert made.get_best_models()[0].optimizer.learning_rate == 0.25


def test_the_missing_one_of_several_objectives_is_named(tmp_path):
    made = search.RandomSearch(
        toys.build,
        objective=["val_loss", toys.lowest("watts")],
        directory=tmp_path,
    )
    message = r"\['watts'\] are not among .*`search.NSGA2`"
    with pytest.raises(ValueError, match=message) as raised:
        made.search(toys.X, toys.Y, validation_split=0.5, verbose=0)
    assert "Received: objective=['val_loss', 'watts']" in str(raised.value)
    trial = made.oracle.create_trial("worker")
    with pytest.raises(ValueError, match="objective 'watts'.*NSGA2Oracle"):
        made.oracle.update_trial(trial.trial_id, {"val_loss": 1.0})
