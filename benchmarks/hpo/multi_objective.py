"""Hypervolume and CPU time of NSGA-II, ours and Optuna's.

Run with `python -m benchmarks.hpo.multi_objective`. The problems are ZDT1,
ZDT2 and ZDT3 with six variables. Rows that are already in the JSON are kept;
`--fresh` measures all.
"""

import argparse
import math
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import keras_tuner
import numpy as np

from benchmarks.records import Records
from keras_netopt import search
from keras_netopt.search.sampling.pareto import front_ranks

NAME = "hpo_multi_objective"
TRIALS, VARIABLES, SEEDS, POPULATION = 200, 6, 20, 50
REFERENCE = (1.1, 11.0)
SETTINGS = {
    "trials": TRIALS,
    "variables": VARIABLES,
    "population": POPULATION,
    "reference": REFERENCE,
}
NAMES = [f"x{i}" for i in range(VARIABLES)]
Point = dict[str, float]
Steps = Iterator[tuple[Point, Callable[[list[float]], None], float]]


def zdt(kind: str, point: Point) -> list[float]:
    """Returns both objectives, to minimize, of Zitzler's test functions."""
    first, *rest = (point[name] for name in NAMES)
    g = 1.0 + 9.0 * sum(rest) / len(rest)
    ratio = first / g
    if kind == "zdt1":
        return [first, g * (1.0 - math.sqrt(ratio))]
    if kind == "zdt2":
        return [first, g * (1.0 - ratio**2)]
    wave = ratio * math.sin(10.0 * math.pi * first)
    return [first, g * (1.0 - math.sqrt(ratio) - wave)]


def hypervolume(values: np.ndarray) -> float:
    """Returns the area that the points dominate, up to `REFERENCE`."""
    inside = values[(values < REFERENCE).all(axis=1)]
    if not len(inside):
        return 0.0
    front = inside[front_ranks(inside) == 0]
    area, height = 0.0, REFERENCE[1]
    for x, y in front[np.argsort(front[:, 0], kind="stable")]:
        area += (REFERENCE[0] - x) * max(height - y, 0.0)
        height = min(height, y)
    return float(area)


def ours(kind: str) -> Callable[[int], Steps]:
    """An oracle of this package."""

    def make(seed: int) -> Steps:
        space = keras_tuner.HyperParameters()
        for name in NAMES:
            space.Float(name, 0.0, 1.0)
        objectives = [keras_tuner.Objective(n, "min") for n in ("f1", "f2")]
        is_single = kind == "RandomSearchOracle"
        oracle = getattr(search, kind)(
            objectives[0] if is_single else objectives,
            TRIALS,
            seed=seed,
            hyperparameters=space,
            defaults_first=False,
            **({} if is_single else {"population_size": POPULATION}),
        )
        oracle.verbose = 0
        oracle.save = oracle._save_trial = lambda *trial: None
        while True:
            start = time.process_time()
            trial = oracle.create_trial("tuner0")
            spent = time.process_time() - start

            def tell(values: list[float], trial: Any = trial) -> None:
                metrics = dict(zip(("f1", "f2"), values, strict=True))
                oracle.update_trial(trial.trial_id, metrics)
                trial.status = "COMPLETED"
                oracle.end_trial(trial)

            yield dict(trial.hyperparameters.values), tell, spent

    return make


def optuna_nsga2(seed: int) -> Steps:
    """Optuna's NSGA-II."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        directions=["minimize"] * 2,
        sampler=optuna.samplers.NSGAIISampler(
            population_size=POPULATION, seed=seed
        ),
    )
    while True:
        start = time.process_time()
        trial = study.ask()
        point = {name: trial.suggest_float(name, 0.0, 1.0) for name in NAMES}
        spent = time.process_time() - start
        yield point, lambda values, t=trial: study.tell(t, values), spent


ARMS: dict[str, Callable[[int], Steps]] = {
    "random": ours("RandomSearchOracle"),
    "nsga2": ours("NSGA2Oracle"),
    "optuna": optuna_nsga2,
}
PROBLEMS = ("zdt1", "zdt2", "zdt3")


def measure(problem: str, arm: str, seed: int) -> dict[str, float]:
    """Runs one search."""
    values, cpu = [], 0.0
    for point, tell, spent in ARMS[arm](seed):
        values.append(zdt(problem, point))
        tell(values[-1])
        cpu += spent
        if len(values) == TRIALS:
            break
    return {
        "hypervolume": round(hypervolume(np.array(values)), 5),
        "cpu_ms": round(1000.0 * cpu / TRIALS, 3),
    }


def main() -> None:
    """Measures every missing row."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--fresh", action="store_true")
    warnings.simplefilter("ignore")
    records = Records(NAME, SETTINGS, fresh=parser.parse_args().fresh)
    for problem in PROBLEMS:
        for arm in ARMS:
            for seed in range(SEEDS):
                key = {"problem": problem, "arm": arm, "seed": seed}
                if not records.find(**key):
                    records.add({**key, **measure(problem, arm, seed)})
            print(problem, arm, flush=True)


if __name__ == "__main__":
    main()
