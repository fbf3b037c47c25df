"""Scripts in the shape of KerasTuner's guides, with one class name changed.

The scripts are in the folder `guides`. Each runs as it is, with the tuner of
KerasTuner, and with the name of a tuner of this package in its place.
"""

import inspect
import sys
import warnings
from pathlib import Path

import keras
import keras_tuner
import numpy as np
import pytest
from search import toys

import keras_netopt
from keras_netopt import search
from keras_netopt.search.running import tensorboard_folders
from keras_netopt.warnings import NoEffectWarning

pytestmark = [
    pytest.mark.filterwarnings("ignore:currentThread:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:getName:DeprecationWarning"),
]
GUIDES = Path(__file__).parent / "guides"
THEIRS = "keras_tuner.RandomSearch"
OURS = ("RandomSearch", "TPE", "RegularizedEvolution", "GridSearch")


def with_tuners(*default):
    """Runs with these tuners by default, with all of them as `slow`."""
    return pytest.mark.parametrize(
        "name",
        [
            pytest.param(one, marks=() if one in default else pytest.mark.slow)
            for one in (THEIRS, *OURS)
        ],
    )


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run_guide(guide, name):
    """Runs a script with the name of a tuner and returns its variables."""
    path = GUIDES / f"{guide}.py"
    source = path.read_text(encoding="utf-8")
    assert THEIRS in source and "keras_netopt" not in source
    if name != THEIRS:
        name = f"keras_netopt.search.{name}"
    source = source.replace(THEIRS, name)
    variables = {"__name__": guide, "keras_netopt": keras_netopt}
    with warnings.catch_warnings():
        if name == THEIRS:  # It loads no optimizer.
            warnings.filterwarnings("ignore", "Skipping variable loading")
        exec(compile(source, str(path), "exec"), variables)
    return variables


def read_trials(project, folder="my_dir", status="COMPLETED"):
    """Returns the trials of a project, which all have the status."""
    trials = search.read_project(f"{folder}/{project}").trials
    assert {trial.status for trial in trials} == {status}
    return trials


@with_tuners("TPE")
def test_getting_started(name, capsys):
    found = run_guide("getting_started", name)
    assert "num_layers (Int)" in capsys.readouterr().out
    assert len(read_trials("helloworld")) == 2
    assert len(found["models"]) == 2 and len(found["best_hps"]) == 2
    assert found["predictions"].shape == (16, 2)

    assert len(read_trials("tune_hypermodel")) == 2
    assert "shuffle" in found["best_hp"].values
    assert len(read_trials("tune_preprocessing")) == 2
    assert found["preprocessed"].count_params()

    scores = [trial.score for trial in read_trials("custom_metrics")]
    assert min(scores) == pytest.approx(found["largest_answer"], rel=1e-4)

    returned = found["float_model"].returned
    scores = [trial.score for trial in read_trials("custom_eval")]
    assert scores == pytest.approx(returned) and len(scores) == 2
    assert found["custom_model"].count_params()
    # The mean of two executions, although `val_loss` of an epoch is lower.
    [trial] = read_trials("custom_eval_dict")
    assert trial.score == pytest.approx(np.mean(found["dict_model"].returned))
    assert trial.value("other") == 1.0

    trials = read_trials("tune_anything")
    assert len(trials) == 4
    assert min(t.score for t in trials) == pytest.approx(
        found["best_x"] ** 2 + 1.0
    )
    assert len(read_trials("keep_code_separate")) == 2
    assert found["saved"].count_params()
    for trial in read_trials("batch_size"):
        assert trial.values["batch_size"] in (8, 16)


@with_tuners("GridSearch")
def test_tailor_the_search_space(name):
    found = run_guide("tailor_the_search_space", name)
    for tuned in (True, False):
        names = {entry.name for entry in found["spaces"][tuned]}
        assert ("num_layers" in names) == tuned
        trials = read_trials(f"search_a_few_{tuned}")
        for trial in trials:
            assert trial.values["lr"] == 1e-3
            assert trial.values["units_0"] in (2, 6)
    kept = {trial.trial_id for trial in trials}
    assert set(found["reopened"].oracle.trials) == kept

    for trial in read_trials("all_in_one"):
        assert "val_mae" in trial.metrics and "accuracy" not in trial.metrics
    model = found["model"]
    assert type(model.optimizer).__name__ == "SGD" and model.loss == "poisson"


@with_tuners(THEIRS, *OURS)
def test_a_custom_training_loop_keeps_the_best_epoch(name):
    found = run_guide("custom_tuner", name)
    trials = read_trials("custom_training", folder="results")
    answers = found["best_model"](found["x_val"])
    errors = keras.ops.convert_to_numpy(answers)[:, 0] - found["y_val"]
    best = min(trial.score for trial in trials)
    assert best == pytest.approx(np.mean(errors**2))


@pytest.mark.parametrize("name", OURS)
def test_an_older_training_loop_reports_by_its_hooks(name):
    """KerasTuner itself ends here: `run_trial` returns nothing."""
    found = run_guide("older_custom_tuner", name)
    trials = read_trials("older_loop", folder="results")
    assert "batch_size" in found["best_hps"].values
    answers = found["best_model"](found["x_train"])
    errors = keras.ops.convert_to_numpy(answers) - found["y_train"]
    best = min(trials, key=lambda trial: trial.score)
    assert best.score == pytest.approx(np.mean(errors**2), rel=1e-5)
    steps = found["tuner"].oracle.trials[best.trial_id].metrics
    assert [one.step for one in steps.get_history("loss")] == [0, 1, 2]
    assert found["tuner"].oracle.trials[best.trial_id].best_step == 1


@with_tuners("RegularizedEvolution")
def test_failed_trials_are_skipped(name):
    run_guide("failed_trials", name)
    trials = search.read_project("my_dir/failed_trials").trials
    assert {trial.status for trial in trials} == {"COMPLETED", "FAILED"}
    for trial in trials:
        is_large = trial.values["units_0"] + trial.values["units_1"] > 8
        assert trial.status == ("FAILED" if is_large else "COMPLETED")
        assert not is_large or "Model too large." in trial.message


# Keras' callback has no profiler on torch.
if keras.backend.backend() != "torch":

    @pytest.mark.parametrize("name", ["RandomSearch"])
    def test_tensorboard_has_one_folder_per_trial(name):
        pytest.importorskip("tensorflow")
        pytest.importorskip("tensorboard")
        run_guide("visualize_tuning", name)
        folders = {path.name for path in Path("tb_logs").iterdir()}
        trials = read_trials("visualize", folder="tb")
        assert folders == {trial.trial_id for trial in trials}
        for trial in trials:
            folder = Path("tb_logs", trial.trial_id, "execution0")
            assert {"train", "validation"} <= {p.name for p in folder.iterdir()}
            assert read_hparams(folder) == trial.values


def read_hparams(folder):
    """The hyperparameters that TensorBoard shows for a folder."""
    from tensorboard.backend.event_processing.event_file_loader import (
        EventFileLoader,
    )
    from tensorboard.plugins.hparams import metadata

    [path] = folder.glob("events.out.*")
    [found] = [
        value.metadata.plugin_data.content
        for event in EventFileLoader(str(path)).Load()
        for value in event.summary.value
    ]
    started = metadata.parse_session_start_info_plugin_data(found)
    assert started.group_name == folder.parent.name
    return {k: v.number_value for k, v in started.hparams.items()}


@pytest.mark.no_backend
def test_tensorboard_without_its_plugin_keeps_the_folders(monkeypatch):
    plugin = "tensorboard.plugins.hparams"
    monkeypatch.setitem(sys.modules, plugin, None)
    tensorboard_folders.import_hparams.cache_clear()
    callback = keras.callbacks.TensorBoard("logs", profile_batch=0)
    trial = keras_tuner.engine.trial.Trial(keras_tuner.HyperParameters(), "7")
    callbacks = [callback]
    with pytest.warns(NoEffectWarning, match="HParams plugin cannot be"):
        tensorboard_folders.separate_tensorboard(callbacks, trial, 1)
    tensorboard_folders.import_hparams.cache_clear()
    assert callbacks == [callback]
    assert Path(callback.log_dir) == Path("logs/7/execution1")


@pytest.mark.parametrize(
    "tuner_class",
    [keras_tuner.RandomSearch, *(getattr(search, n) for n in OURS)],
)
def test_too_many_failed_trials_end_the_search(tuner_class):
    def build(hp):
        if hp.Int("units", 2, 64) and len(calls) > 1:
            raise ValueError("never")
        calls.append(1)
        return toys.tiny(hp)

    calls = []
    tuner = tuner_class(
        hypermodel=build,
        objective="val_loss",
        max_trials=9,
        max_consecutive_failed_trials=3,
        directory="my_dir",
    )
    with pytest.raises(RuntimeError, match="consecutive failures"):
        tuner.search(toys.X, toys.Y, validation_split=0.5, verbose=0)


# Hyperband has a budget of epochs instead of `max_trials`.


@pytest.mark.parametrize(
    ("tuner_class", "hypermodel"),
    [
        # KerasTuner's own loads no optimizer, with a warning: an error here.
        pytest.param(keras_tuner.Hyperband, None, marks=pytest.mark.slow),
        (search.Hyperband, None),
        (search.Hyperband, toys.build),
    ],
)
def test_hyperband_is_called_as_kerastuner_s(tuner_class, hypermodel):
    name = "val_loss" if hypermodel else "my_metric"
    if hypermodel is None:
        hypermodel = run_guide("custom_tuner", THEIRS)["MyHyperModel"]()
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
    x = np.eye(8, 6) if name == "my_metric" else toys.X[:8]
    data = (x, toys.Y[:8, 0])
    tuner.search(*data, validation_data=data, verbose=0)
    trials = tuner.oracle.trials.values()
    assert {trial.status for trial in trials} == {"COMPLETED"}
    assert any("tuner/trial_id" in t.hyperparameters.values for t in trials)
    assert tuner.get_best_models()[0].count_params()


def test_an_oracle_of_this_package_serves_a_tuner_of_kerastuner():
    tuner = keras_tuner.Tuner(
        oracle=search.TPEOracle("val_loss", 2),
        hypermodel=toys.build,
        directory="my_dir",
    )
    tuner.search(toys.X, toys.Y, validation_split=0.5, verbose=0)
    assert len(tuner.oracle.trials) == 2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: search.TPEOracle(toys.build), r"`search.TPE\(build, ...\)`"),
        (
            lambda: search.NSGA2Oracle(toys.Curves()),
            r"`search.NSGA2\(build, ...\)`",
        ),
        (
            lambda: search.TPE(search.TPEOracle("val_loss")),
            r"`search.Tuner\(build, oracle=...\)`",
        ),
        (
            lambda: search.TPE(toys.build, oracle=search.TPEOracle("val_loss")),
            r"`search.Tuner\(build, oracle=...\)`",
        ),
        (lambda: search.TPE("val_loss", 50), "is `search.TPEOracle`"),
        (
            lambda: search.Tuner(search.TPEOracle("val_loss"), toys.build),
            r"`search.Tuner\(build, oracle=...\)`",
        ),
        (
            lambda: search.TPE(toys.build, gama=0.1),
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
