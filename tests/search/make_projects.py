"""Writes the small project folders of tests/search/projects.

Run it from the repository root after a change of KerasTuner's file format:
`KERAS_BACKEND=torch python tests/search/make_projects.py`. No network is
trained: each trial is a formula. `bayesian` needs scikit-learn.
"""

import contextlib
import io
import math
import shutil
import sys
from pathlib import Path

import keras_tuner

FOLDER = Path(__file__).parent / "projects"
EPOCHS = 4


def space(hp):
    """Three kinds of hyperparameters, one of them conditional."""
    hp.Float("rate", 1e-4, 1e-1, sampling="log")
    hp.Int("units", 8, 64, step=8)
    if hp.Choice("optimizer", ["sgd", "adam"]) == "sgd":
        with hp.conditional_scope("optimizer", ["sgd"]):
            hp.Float("momentum", 0.0, 0.9)


def grid_space(hp):
    hp.Choice("optimizer", ["sgd", "adam"])
    hp.Int("units", 8, 24, step=8)


def loss_at(hp, epoch):
    rate = hp.get("rate") if "rate" in hp.values else 1e-2
    far = (math.log10(rate) + 2.0) ** 2 / 4
    size = 1.0 / hp.get("units")
    sgd = 0.1 if hp.get("optimizer") == "sgd" else 0.0
    return 0.2 + far + size + sgd + 0.5 / (epoch + 1)


def metrics_at(hp, epoch):
    loss = loss_at(hp, epoch)
    return {"loss": loss - 0.05, "val_loss": loss, "val_accuracy": 1 / loss}


class Reporting(keras_tuner.RandomSearch):
    """Reports every epoch, as a Tuner that trains models does."""

    def run_trial(self, trial, *args, **kwargs):
        for epoch in range(EPOCHS):
            metrics = metrics_at(trial.hyperparameters, epoch)
            self.oracle.update_trial(trial.trial_id, metrics, step=epoch)


class Returning:
    def run_trial(self, trial, *args, **kwargs):
        epochs = trial.hyperparameters.values.get("tuner/epochs", EPOCHS)
        return metrics_at(trial.hyperparameters, epochs - 1)


class Hyperband(Returning, keras_tuner.Hyperband):
    pass


class Bayesian(Returning, keras_tuner.BayesianOptimization):
    pass


class Grid(Returning, keras_tuner.GridSearch):
    pass


class Stopping(keras_tuner.RandomSearch):
    """What `keras_netopt.search.Tuner` writes with a stopper and folds."""

    def run_trial(self, trial, *args, **kwargs):
        hp = trial.hyperparameters
        stops = int(trial.trial_id) % 3
        epochs = EPOCHS if stops == 0 else stops
        for epoch in range(epochs):
            metrics = metrics_at(hp, epoch)
            self.oracle.update_trial(trial.trial_id, metrics, step=epoch)
        folds = 1 if stops else 3
        scores = [loss_at(hp, epochs - 1) + 0.01 * k for k in range(folds)]
        cost = {"macs": 100.0 * hp.get("units"), "folds_done": float(folds)}
        if stops:
            cost["stopped_epoch"] = float(epochs)
        else:
            cost["val_loss_std"] = 0.01
        last = {**metrics_at(hp, epochs - 1), **cost}
        last |= {f"fold{k}/val_loss": s for k, s in enumerate(scores)}
        self.oracle.update_trial(trial.trial_id, last, step=epochs - 1)


def write(name, kind, **arguments):
    folder = FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    tuner = kind(
        seed=1,
        objective=keras_tuner.Objective("val_loss", "min"),
        directory=FOLDER,
        project_name=name,
        **arguments,
    )
    with contextlib.redirect_stdout(io.StringIO()):
        tuner.search()
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix != ".json":
            path.unlink()


def main():
    write("random", Reporting, hypermodel=space, max_trials=8)
    write("hyperband", Hyperband, hypermodel=space, max_epochs=4, factor=2)
    write("bayesian", Bayesian, hypermodel=space, max_trials=6)
    write("grid", Grid, hypermodel=grid_space, max_trials=6)
    write("stopped", Stopping, hypermodel=space, max_trials=9)


if __name__ == "__main__":
    sys.exit(main())
