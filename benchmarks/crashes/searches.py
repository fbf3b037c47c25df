"""Every tuner in searches that SIGKILL ends again and again.

Run with `KERAS_BACKEND=torch python -m benchmarks.crashes.searches`. A run is
a search in a project folder. It is killed at random moments: in a trial,
before each change of a file, while the weights of a trial are written. It is
started again each time, and at last not killed. Values, scores and states of
all trials and the weights of the best one are compared with a search that was
not interrupted.
"""

import json
from functools import partial
from pathlib import Path
from typing import Any

import benchmarks.crashes.preload  # noqa: F401  # Before Keras.  # isort: skip
import keras
import numpy as np
from search import toys
from search.morphism import networks

from benchmarks.crashes.announce import Announce
from benchmarks.crashes.child import Work
from benchmarks.crashes.runs import Plan, finish, measure_all
from benchmarks.crashes.witness import Witness
from keras_netopt import registry, search

TRIALS, EPOCHS = 6, 3
SETTINGS = {
    "trials": TRIALS,
    "epochs": EPOCHS,
    "resume": "trial",
    "network": "two weights, tests/search/toys.py",
}
KINDS = {"batch": (0.2, 0.01), "file": (0.6, 0.005), "h5": (0.2, 0.003)}
# It writes `.keras` files, whose HDF5 part Keras makes elsewhere.
MORPHISM_KINDS = {"batch": (0.4, 0.01), "file": (0.6, 0.005)}


def score_rate(values: dict[str, Any]) -> float:
    """A zero-cost score."""
    return float(values["rate"])


# Arguments beside the objective; all others have `max_trials` only.
ARGUMENTS: dict[str, dict[str, Any]] = {
    "Hyperband": {"max_epochs": EPOCHS, "factor": 3},
    "TPE": {"max_trials": TRIALS, "n_startup_trials": 3},
    "RegularizedEvolution": {
        "max_trials": TRIALS,
        "population_size": 4,
        "sample_size": 2,
    },
    "NSGA2": {
        "max_trials": TRIALS,
        "population_size": 4,
        "objective": ["val_loss", "val_mae"],
    },
    "ZeroCost": {"max_trials": TRIALS, "pool": 12, "score": score_rate},
}


def main() -> None:
    """Measures the tuners that are not in the results yet."""
    plans = {
        row.name: Plan(
            row.short_name,
            partial(make_work, row.short_name),
            read_progress,
            MORPHISM_KINDS if row.name == "search.Morphism" else KINDS,
        )
        for row in registry.METHODS
        if row.kind == "tuner" and row.name != "search.Tuner"
    }
    name = f"crashes_search_{keras.backend.backend()}"
    measure_all(name, SETTINGS, plans)


def make_work(name: str, number: int | None) -> Work:
    """Returns the work of a run."""
    return morph if name == "Morphism" else partial(search_all, name)


def read_progress(place: Path) -> float:
    """Returns about the share of trials that exist."""
    found = len(list(place.glob("runs/p/trial[_-]*")))
    return min(found / TRIALS, 1.0) * 0.8


def search_all(name: str, witness: Witness) -> None:
    """Searches in a child, and writes the result beside the folder."""
    witness.watch_files()
    arguments = ARGUMENTS.get(name, {"max_trials": TRIALS})
    tuner = getattr(search, name)(
        toys.build,
        **{"objective": "val_loss", **arguments},
        seed=1,
        directory="runs",
        project_name="p",
        resume="trial",
    )
    tuner.search(
        toys.X,
        toys.Y,
        batch_size=16,
        epochs=EPOCHS,
        validation_split=0.5,
        callbacks=[Announce(witness)],
        verbose=0,
    )
    trials = toys.summarize_trials(tuner.proxy.oracle)
    text = json.dumps(trials, sort_keys=True).encode()
    weights = tuner.get_best_models(1)[0].get_weights()
    finish(
        witness,
        {
            "trials": np.frombuffer(text, "uint8"),
            **{f"weight {i}": value for i, value in enumerate(weights)},
        },
    )


def morph(witness: Witness) -> None:
    """Searches by network morphism, with one control."""
    witness.watch_files()
    tuner = networks.make(
        networks.build_mlp(),
        "runs",
        max_trials=TRIALS - 2,
        controls=1,
        project_name="p",
    )
    networks.run(tuner, callbacks=[Announce(witness)])
    trials = [
        {**trial.to_dict(), "seconds": None}  # Each process has its own.
        for trial in tuner.trials
    ]
    text = json.dumps(trials, sort_keys=True).encode()
    found = {"trials": np.frombuffer(text, "uint8")}
    for trial in tuner.trials:
        states = networks.state(tuner.load_model(trial))
        for i, value in enumerate(states):
            found[f"{trial.file} {i}"] = value
    finish(witness, found)


if __name__ == "__main__":
    main()
