"""Wrong values that a fuzz has found: each had an exception of another kind.

They are kept here, where `make test` repeats them without hypothesis.
"""

import keras
import numpy as np
import pytest
from fuzz import constructors

EMPTY, LARGE = np.zeros(0), 10**400
RAGGED = [[], [None]]
FOUND = {
    "callbacks.SparseTraining": {"regrow": EMPTY},
    "callbacks.BestCheckpoint": {"mode": EMPTY, "verbose": EMPTY},
    "callbacks.Curriculum": {
        "x": RAGGED,
        "y": RAGGED,
        "sample_weight": RAGGED,
        "labels": RAGGED,
    },
    "callbacks.Pruning": {"allocation": {"auto": {}}},
    "callbacks.ParameterScheduler": {"schedule": {}},
    "callbacks.LayerwiseLearningRates": {"rates": [None]},
    "callbacks.ArchitectureSearch": {
        "order": EMPTY,
        "architecture_optimizer": EMPTY,
        "monitor": EMPTY,
    },
    "curriculum.SuperLoss": {
        "reduction": EMPTY,
        "name": EMPTY,
        "dtype": "auto",
    },
    "layers.SkipGate": {"gate": EMPTY},
    "layers.LateralConnection": {"data_format": EMPTY},
    "progressive.ProgressiveNetwork": {"column": keras.Sequential()},
    "progressive.ProgressCompress": {"column": object},
    "rl.DQN": {
        "environment": "auto",
        "num_envs": 10**12,
        "buffer_size": 10**12,
        "optimizer": {},
    },
    "rl.QLoss": {"reduction": EMPTY, "name": EMPTY, "dtype": "auto"},
    "rl.PolicyGradientLoss": {"reduction": EMPTY, "name": EMPTY},
    "search.MaxParams": {"at_most": LARGE},
    "search.MaxMACs": {"at_most": EMPTY},
    "search.MaxLatency": {"at_most": EMPTY, "quantize": EMPTY},
    "search.Morphism": {
        "parent": keras.Sequential([keras.layers.Dense(1)]),
        "directory": True,
        "project_name": True,
    },
    "search.GridSearch": {"hypermodel": object, "constraints": np.array(1.0)},
    "search.TPE": {
        "hypermodel": False,
        "objective": False,
        "folds": EMPTY,
        "overwrite": EMPTY,
        "directory": LARGE,
        "project_name": "a" * 300,
        "tuner_id": EMPTY,
        "distribution_strategy": False,
        "tune_new_entries": None,
        "allow_new_entries": EMPTY,
    },
    "search.Tuner": {"project_name": "\0", "hypermodel": keras.layers.Dense(1)},
    "search.HyperbandOracle": {"max_epochs": LARGE},
    "search.NSGA2Oracle": {"metric_bounds": True},
    "search.ZeroCostOracle": {"proxies": [[]]},
}


def refusal(name, folder, argument, value):
    """What is wrong with how a constructor refuses a value, or `None`."""
    given = {**constructors.arguments(name, folder), argument: value}
    try:
        constructors.find(name)(**given)
    except (TypeError, ValueError) as error:
        text = str(error)
        is_ours = "Received: " in text and argument in text
        return None if is_ours else f"{type(error).__name__}: {text}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "it is taken"


@pytest.mark.no_backend
def test_values_that_were_found_are_refused_with_the_argument(tmp_path):
    pytest.importorskip("gymnasium", reason="agents need an environment")
    failures = {
        f"{name}({argument}={str(value)[:40]})": wrong
        for name, arguments in FOUND.items()
        for argument, value in arguments.items()
        if (wrong := refusal(name, tmp_path, argument, value))
    }
    assert not failures


@pytest.mark.no_backend
def test_a_seed_beyond_32_bits_makes_an_agent(tmp_path):
    """JAX took no such seed for the initial weights of the value model."""
    pytest.importorskip("gymnasium", reason="agents need an environment")
    agent = constructors.find("rl.PolicyGradient")
    agent(**constructors.arguments("rl.PolicyGradient", tmp_path), seed=10**12)


@pytest.mark.no_backend
def test_every_constructor_has_right_arguments(tmp_path):
    for name in constructors.ROWS:
        if name == "search.RayExecutor":
            continue  # Ray is optional.
        given = constructors.arguments(name, tmp_path)
        constructors.find(name)(**given)
        assert set(given) <= set(constructors.parameters(name)), name
