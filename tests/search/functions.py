"""Functions whose minima are known, and searches of them without files."""

import math

import numpy as np
from search.oracle_tools import finish, space, without_files


def quick(oracle, objective, trials):
    """A search without files; returns its scores."""
    without_files(oracle)
    name, found = oracle.objective.name, []
    for _ in range(trials):
        trial = oracle.create_trial("worker")
        found.append(objective(trial.hyperparameters.values))
        finish(oracle, trial, {name: found[-1]})
    return found


def branin(values):
    x, y = values["x"], values["y"]
    bent = y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6
    return bent**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10


def branin_space():
    return space(x=("Float", -5.0, 10.0), y=("Float", 0.0, 15.0))


A = np.array(
    [
        [10, 3, 17, 3.5, 1.7, 8],
        [0.05, 10, 17, 0.1, 8, 14],
        [3, 3.5, 1.7, 10, 17, 8],
        [17, 8, 0.05, 10, 0.1, 14],
    ]
)
P = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def hartmann(values):
    x = np.array([values[f"x{i}"] for i in range(6)])
    heights = np.array([1.0, 1.2, 3.0, 3.2])
    return float(-heights @ np.exp(-(A * (x - P) ** 2).sum(axis=1)))


def hartmann_space():
    return space(**{f"x{i}": ("Float", 0.0, 1.0) for i in range(6)})


FUNCTIONS = {
    "branin": (branin, branin_space, 0.397887),
    "hartmann": (hartmann, hartmann_space, -3.32237),
}


def regrets(kind, function, seeds, trials, **options):
    score, make, best = FUNCTIONS[function]
    found = []
    for seed in range(seeds):
        oracle = kind(
            "val_loss",
            trials,
            seed=seed,
            hyperparameters=make(),
            defaults_first=False,
            **options,
        )
        found.append(min(quick(oracle, score, trials)) - best)
    return found
