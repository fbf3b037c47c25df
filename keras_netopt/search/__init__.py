"""Search for hyperparameters on KerasTuner's own classes.

Names are loaded when they are used: `import keras_netopt` imports no
KerasTuner.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_netopt.search.constraints import (
        Constraint,
        MaxBytes,
        MaxLatency,
        MaxMACs,
        MaxParams,
    )
    from keras_netopt.search.folds import KFold
    from keras_netopt.search.oracles.base import SearchOracle
    from keras_netopt.search.oracles.evolution import RegularizedEvolution
    from keras_netopt.search.oracles.grid import GridSearch
    from keras_netopt.search.oracles.hyperband import Hyperband
    from keras_netopt.search.oracles.nsga2 import NSGA2
    from keras_netopt.search.oracles.optuna_adapter import OptunaOracle
    from keras_netopt.search.oracles.random import RandomSearch
    from keras_netopt.search.oracles.tpe import TPE
    from keras_netopt.search.reports.report import leaderboard, plots, read
    from keras_netopt.search.running.executors import local_processes
    from keras_netopt.search.running.ray_executor import RayExecutor
    from keras_netopt.search.stoppers import ASHA, Median, Patience, Stopper
    from keras_netopt.search.tuner import Tuner

# Where each public name is defined.
_HOMES = {
    "ASHA": "stoppers",
    "Constraint": "constraints",
    "GridSearch": "oracles.grid",
    "Hyperband": "oracles.hyperband",
    "KFold": "folds",
    "MaxBytes": "constraints",
    "MaxLatency": "constraints",
    "MaxMACs": "constraints",
    "MaxParams": "constraints",
    "Median": "stoppers",
    "NSGA2": "oracles.nsga2",
    "OptunaOracle": "oracles.optuna_adapter",
    "Patience": "stoppers",
    "RandomSearch": "oracles.random",
    "RayExecutor": "running.ray_executor",
    "RegularizedEvolution": "oracles.evolution",
    "SearchOracle": "oracles.base",
    "Stopper": "stoppers",
    "TPE": "oracles.tpe",
    "Tuner": "tuner",
    "leaderboard": "reports.report",
    "local_processes": "running.executors",
    "plots": "reports.report",
    "read": "reports.report",
}

__all__ = [
    "ASHA",
    "NSGA2",
    "TPE",
    "Constraint",
    "GridSearch",
    "Hyperband",
    "KFold",
    "MaxBytes",
    "MaxLatency",
    "MaxMACs",
    "MaxParams",
    "Median",
    "OptunaOracle",
    "Patience",
    "RandomSearch",
    "RayExecutor",
    "RegularizedEvolution",
    "SearchOracle",
    "Stopper",
    "Tuner",
    "leaderboard",
    "local_processes",
    "plots",
    "read",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = importlib.import_module(f"{__name__}.{_HOMES[name]}")
    return getattr(home, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
