"""Search for hyperparameters on KerasTuner's own classes.

Names are loaded when they are used: `import keras_netopt` imports no
KerasTuner.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_netopt.search.oracles.base import SearchOracle
    from keras_netopt.search.oracles.evolution import RegularizedEvolution
    from keras_netopt.search.oracles.grid import GridSearch
    from keras_netopt.search.oracles.hyperband import Hyperband
    from keras_netopt.search.oracles.nsga2 import NSGA2
    from keras_netopt.search.oracles.optuna_adapter import OptunaOracle
    from keras_netopt.search.oracles.random import RandomSearch
    from keras_netopt.search.oracles.tpe import TPE
    from keras_netopt.search.report import leaderboard, plots, read

# Where each public name is defined.
_HOMES = {
    "GridSearch": "oracles.grid",
    "Hyperband": "oracles.hyperband",
    "NSGA2": "oracles.nsga2",
    "OptunaOracle": "oracles.optuna_adapter",
    "RandomSearch": "oracles.random",
    "RegularizedEvolution": "oracles.evolution",
    "SearchOracle": "oracles.base",
    "TPE": "oracles.tpe",
    "leaderboard": "report",
    "plots": "report",
    "read": "report",
}

__all__ = [
    "NSGA2",
    "TPE",
    "GridSearch",
    "Hyperband",
    "OptunaOracle",
    "RandomSearch",
    "RegularizedEvolution",
    "SearchOracle",
    "leaderboard",
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
