"""Interrupted searches resume."""

import json
import re

import keras
import keras_tuner
import pytest
from search import toys

from keras_netopt import search
from keras_netopt.search.running.epoch_reporter import EpochReporter
from keras_netopt.search.running.execution_log import ExecutionLog
from keras_netopt.warnings import NoEffectWarning


class Cut(BaseException):
    """Ends a search as Ctrl-C does."""


class CutOff(toys.Curves):
    """Counts epochs, and is cut off once at one of them."""

    def __init__(self, at=None):
        super().__init__()
        self.at, self.epochs = at, []

    def fit(self, hp, model, *args, callbacks=(), **kwargs):
        outer = self

        class Count(keras.callbacks.Callback):
            def on_epoch_begin(self, epoch, logs=None):
                if len(outer.epochs) == outer.at:
                    raise Cut
                outer.epochs.append(epoch)

        return super().fit(
            hp, model, *args, callbacks=[Count(), *callbacks], **kwargs
        )


def curves(oracle):
    """The values of each epoch, as the oracle's files hold them."""
    found = {}
    for name, trial in sorted(oracle.trials.items()):
        history = trial.metrics.get_history("v")
        found[name] = [(one.step, set(one.value)) for one in history]
    return found


def oracle(trials=4):
    return toys.random_oracle(toys.lowest("v"), trials)


def halving(hypermodel):
    return {
        "hypermodel": hypermodel,
        "oracle": oracle(),
        "epochs": 4,
        "stopper": search.ASHA(eta=2),
    }


@pytest.fixture(scope="module")
def halved(run_once):
    """What the searches below must find, although they are cut off."""
    return run_once(**halving(CutOff()), project_name="halved")


@pytest.fixture(scope="module")
def plain(run_once):
    return run_once(CutOff(), oracle(3), project_name="plain")


def assert_same_trials(found, whole):
    assert toys.summarize_trials(found.oracle) == toys.summarize_trials(
        whole.oracle
    )
    assert curves(found.oracle) == curves(whole.oracle)


@pytest.mark.parametrize("resume", ["epoch", "trial"])
@pytest.mark.parametrize("at", [0, 2, 6])
def test_nothing_is_lost_or_repeated(run, halved, resume, at):
    cut, late = CutOff(at), CutOff()
    with pytest.raises(Cut):
        run(**halving(cut), resume=resume)
    found = run(**halving(late), resume=resume)
    assert_same_trials(found, halved)
    total = len(halved.hypermodel.epochs)
    again = len(cut.epochs) + len(late.epochs) - total
    # Complete epochs are not repeated when a trial resumes.
    assert again == (0 if resume == "epoch" else {0: 0, 2: 2, 6: 1}[at])
    assert found.stopper.get_state() == halved.stopper.get_state()


@pytest.mark.parametrize("stopped", [False, True])
def test_a_cut_behind_the_last_epoch_trains_nothing_again(
    run, halved, monkeypatch, stopped
):
    end = ExecutionLog.end

    def end_and_cut(record, **flags):
        end(record, **flags)
        if flags["stopped"] == stopped:
            raise Cut

    cut, late = CutOff(), CutOff()
    with monkeypatch.context() as patched:
        patched.setattr(ExecutionLog, "end", end_and_cut)
        with pytest.raises(Cut):
            run(**halving(cut))
    found = run(**halving(late))
    assert_same_trials(found, halved)
    assert found.stopper.get_state() == halved.stopper.get_state()
    assert cut.epochs + late.epochs == halved.hypermodel.epochs


def test_a_trial_without_the_logs_of_its_epochs_begins_again(
    run, halved, tmp_path
):
    with pytest.raises(Cut):
        run(**halving(CutOff(6)))
    logs = [*tmp_path.rglob("epochs.json")]
    torn = [one for one in logs if not json.loads(one.read_text())["done"]]
    torn[0].write_text("{")
    path = re.escape(str(torn[0]))
    with pytest.warns(NoEffectWarning, match=f"{path}.*begins again"):
        found = run(**halving(CutOff()))
    assert len(torn) == 1
    assert_same_trials(found, halved)


def test_damaged_weights_of_a_trial_are_named(run, tmp_path):
    tuner = run(CutOff(), oracle(1))
    [path] = tmp_path.rglob("checkpoint.weights.h5")
    content = path.read_bytes()
    for found in (content[:99], b"", b"foreign"):
        path.write_bytes(found)
        with pytest.raises(ValueError, match="train it again") as caught:
            tuner.get_best_models(1)
        assert str(path) in str(caught.value)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="train it again"):
        tuner.get_best_models(1)


def test_a_training_of_keras_resumes(run):
    """The other tests train by hand, with the same callbacks."""

    class Trained(CutOff):
        def build(self, hp):
            hp.Float("x", 0.0, 1.0)
            return toys.dense()

    with pytest.raises(Cut):
        run(Trained(1), oracle(1))
    late = run(Trained(), oracle(1))
    assert late.hypermodel.epochs == [1]
    [model] = late.get_best_models(1)
    assert int(model.optimizer.iterations.numpy()) == 2
    assert [steps for steps, _ in curves(late.oracle)["0"]] == [0, 1]


ORACLES = {
    "TPE": lambda: search.TPEOracle(
        toys.lowest("v"), 7, n_startup_trials=3, seed=1
    ),
    "evolution": lambda: search.RegularizedEvolutionOracle(
        toys.lowest("v"), 7, population_size=3, sample_size=2, seed=1
    ),
    "BOHB": lambda: search.HyperbandOracle(
        toys.lowest("v"), 4, factor=2, sampler=search.TPEOracle(), seed=1
    ),
    "NSGA2": lambda: search.NSGA2Oracle(
        [toys.lowest("v"), toys.lowest("params")], 7, population_size=3, seed=1
    ),
}


@pytest.mark.parametrize(
    "name",
    [
        "BOHB",
        *(
            pytest.param(other, marks=pytest.mark.slow)
            for other in ("TPE", "evolution", "NSGA2")
        ),
    ],
)
def test_every_oracle_resumes_as_if_uninterrupted(run, name):
    """Costs found before a trial are there again, too."""
    bounds = [search.MaxParams(1000)]

    def play(hypermodel, project):
        return run(
            hypermodel,
            ORACLES[name](),
            constraints=bounds,
            project_name=project,
        )

    whole = play(CutOff(), "whole")
    half = len(whole.hypermodel.epochs) // 2
    with pytest.raises(Cut):
        play(CutOff(half), "cut")
    found = play(CutOff(), "cut")
    assert toys.summarize_trials(found.oracle) == toys.summarize_trials(
        whole.oracle
    )
    for trial in found.oracle.trials.values():
        assert trial.metrics.get_last_value("params") == 2


def test_the_same_object_resumes_too(tuner, plain):
    made = tuner(CutOff(3), oracle(3))
    data = {"epochs": 2, "validation_split": 0.5, "verbose": 0}
    with pytest.raises(Cut):
        made.search(toys.X, toys.Y, batch_size=16, **data)
    made.hypermodel.at = None
    made.search(toys.X, toys.Y, batch_size=16, **data)
    assert_same_trials(made, plain)


def test_folds_that_are_done_are_not_trained_again(run):
    whole = run(CutOff(), oracle(2), folds=2, project_name="whole")
    cut, late = CutOff(3), CutOff()
    with pytest.raises(Cut):
        run(cut, oracle(2), folds=2)
    found = run(late, oracle(2), folds=2)
    assert toys.summarize_trials(found.oracle) == toys.summarize_trials(
        whole.oracle
    )
    assert cut.epochs == [0, 1, 0] and late.epochs == [1, 0, 1, 0, 1]


@pytest.mark.parametrize(
    "name", ["training_metadata.json", "latest.weights.h5"]
)
def test_a_torn_backup_starts_the_trial_again(run, plain, tmp_path, name):
    with pytest.raises(Cut):
        run(CutOff(1), oracle(3))
    [torn] = tmp_path.glob(f"p/trial_0/run/backup/{name}")
    torn.write_bytes(torn.read_bytes()[:9])
    found = run(CutOff(), oracle(3))
    assert found.hypermodel.epochs == [0, 1] * 3
    assert_same_trials(found, plain)


def test_epochs_behind_the_backup_are_forgotten(tmp_path):
    """The process was killed between the log and the backup of an epoch."""
    before = ExecutionLog(tmp_path / "log.json")
    for epoch, value in enumerate([2.0, 1.0]):
        before.add(epoch, {"v": value})
    log, weights = ExecutionLog(before.path), tmp_path / "m.weights.h5"
    heard = []

    def hear(epoch, logs):
        heard.append((epoch, logs["v"]))

    reporter = EpochReporter(log, toys.lowest("v"), hear, weights)
    again = {"epochs": 2, "initial_epoch": 1}
    toys.train(toys.Line(), lambda epoch: {"v": 1.5}, [reporter], **again)
    assert heard == [(0, 2.0), (1, 1.5)]
    assert weights.exists() and log.has_begun


def test_a_trial_that_raised_is_tried_from_its_start(run):
    class Fails(CutOff):
        def fit(self, hp, model, *args, **kwargs):
            done = super().fit(hp, model, *args, **kwargs)
            if len(self.epochs) == 2:
                raise ArithmeticError("once")
            return done

    oracle = toys.random_oracle(toys.lowest("v"), 2, max_retries_per_trial=1)
    found = run(Fails(), oracle)
    assert found.hypermodel.epochs == [0, 1] * 3
    assert [len(values) for _, values in curves(found.oracle)["0"]] == [1, 1]
    assert {t.status for t in oracle.trials.values()} == {"COMPLETED"}


def other_range(hp):
    return toys.tiny(hp, hp.Float("rate", 1e-2, 0.5, sampling="log"))


@pytest.mark.parametrize(
    "hypermodel, oracle, options, message",
    [
        (toys.build, ("val_mae",), {}, "same objective.*val_loss"),
        (toys.build, ("val_loss",), {"folds": 2}, "same folds, None"),
        (other_range, ("val_loss",), {}, "'rate' must be the same as"),
    ],
)
def test_the_folder_of_another_search_is_refused(
    run, tuner, tmp_path, hypermodel, oracle, options, message
):
    run()
    before = {p: p.read_bytes() for p in tmp_path.rglob("*.json")}
    with pytest.raises(ValueError, match=message) as raised:
        tuner(hypermodel, toys.random_oracle(*oracle), **options)
    assert "overwrite=True" in str(raised.value)
    assert before == {p: p.read_bytes() for p in tmp_path.rglob("*.json")}


def test_another_oracle_is_another_search(run, tuner):
    run()
    grid = keras_tuner.oracles.GridSearchOracle("val_loss", 4)
    with pytest.raises(ValueError, match="same oracle, RandomSearchOracle"):
        tuner(oracle=grid)


def test_a_finished_search_adds_nothing(run, tmp_path):
    first = toys.summarize_trials(run().oracle)
    trained = run().oracle
    assert toys.summarize_trials(trained) == first
    state = json.loads((tmp_path / "p" / "oracle.json").read_text())
    assert len(state["end_order"]) == 4
