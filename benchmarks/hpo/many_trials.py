"""What a trial costs the oracle, and a report, after 2,000 other trials.

Run with `KERAS_BACKEND=jax python -m benchmarks.hpo.many_trials`. Nothing is
trained: the CPU time of a trial is that of `create_trial`, `update_trial` and
`end_trial`, files included. `plots` reads the project of 2,000 trials and
saves all pictures. Rows that are already in the JSON are kept; `--fresh`
measures all.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras_tuner

from benchmarks.records import Records
from keras_netopt import search

NAME = "hpo_many_trials"
TRIALS, EARLY = 2000, 100
SETTINGS = {
    "trials": TRIALS,
    "early": EARLY,
    "space": "two continuous ranges, 1,000 integers, a choice of three",
    "unit": "CPU ms per trial, medians of 100 trials",
}
MEMORY = "/dev/shm"  # Where there is one: no waiting for a disk.


def main() -> None:
    """Measures every missing row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fresh", action="store_true")
    records = Records(NAME, SETTINGS, fresh=parser.parse_args().fresh)
    for name, make in ORACLES.items():
        if records.find(arm=name) is None:
            with tempfile.TemporaryDirectory(dir=_folder()) as folder:
                row = measure(make(), folder)
            records.add({"arm": name, **row})


def measure(oracle: Any, folder: str, *, plots: bool = True) -> dict[str, Any]:
    """Runs all trials; the project of random search is then plotted."""
    oracle._set_project_dir(folder, "project")
    oracle.verbose = 0
    spent = []
    for _ in range(TRIALS):
        begun = time.process_time()
        trial = oracle.create_trial("tuner0")
        values = trial.hyperparameters.values
        score = (values["a"] - 0.3) ** 2 + 10 * values["b"]
        metrics = {"v": score, "w": float(values["c"])}
        oracle.update_trial(trial.trial_id, metrics)
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
        spent.append(1000 * (time.process_time() - begun))
    row = {
        "early": statistics.median(spent[EARLY - 50 : EARLY + 50]),
        "late": statistics.median(spent[-100:]),
    }
    if plots and type(oracle) is search.RandomSearchOracle:
        row["plots"] = measure_plots(Path(folder, "project"))
    return row


def measure_plots(project: Path) -> float:
    """Returns the CPU seconds of a call of `plots`."""
    import matplotlib.figure  # noqa: F401

    begun = time.process_time()
    search.plots(project, folder=project / "pictures")
    return time.process_time() - begun


def _folder() -> str | None:
    return MEMORY if os.path.isdir(MEMORY) else None


def _space() -> keras_tuner.HyperParameters:
    hp = keras_tuner.HyperParameters()
    hp.Float("a", 0.0, 1.0)
    hp.Float("b", 1e-4, 1e-1, sampling="log")
    hp.Int("c", 1, 1000)
    hp.Choice("d", ["x", "y", "z"])
    return hp


def _lowest(name: str) -> keras_tuner.Objective:
    return keras_tuner.Objective(name, "min")


def _make(oracle: Any, *args: Any, **options: Any) -> Any:
    return oracle(*args, hyperparameters=_space(), seed=1, **options)


ORACLES: dict[str, Callable[[], Any]] = {
    "random": lambda: _make(search.RandomSearchOracle, _lowest("v"), TRIALS),
    "grid": lambda: _make(search.GridSearchOracle, _lowest("v"), TRIALS),
    "evolution": lambda: _make(
        search.RegularizedEvolutionOracle, _lowest("v"), TRIALS
    ),
    "hyperband": lambda: _make(
        search.HyperbandOracle, _lowest("v"), 81, hyperband_iterations=20
    ),
    "nsga2": lambda: _make(
        search.NSGA2Oracle, [_lowest("v"), _lowest("w")], TRIALS
    ),
    "tpe": lambda: _make(search.TPEOracle, _lowest("v"), TRIALS),
    "kerastuner": lambda: _make(
        keras_tuner.oracles.RandomSearchOracle, _lowest("v"), TRIALS
    ),
}

if __name__ == "__main__":
    main()
