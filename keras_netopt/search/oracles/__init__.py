"""Oracles: what decides which point a search tries next."""

from keras_netopt.search.oracles.base import SearchOracle
from keras_netopt.search.oracles.evolution import RegularizedEvolution
from keras_netopt.search.oracles.grid import GridSearch
from keras_netopt.search.oracles.hyperband import Hyperband
from keras_netopt.search.oracles.nsga2 import NSGA2
from keras_netopt.search.oracles.optuna_adapter import OptunaOracle
from keras_netopt.search.oracles.random import RandomSearch
from keras_netopt.search.oracles.tpe import TPE

__all__ = [
    "NSGA2",
    "TPE",
    "GridSearch",
    "Hyperband",
    "OptunaOracle",
    "RandomSearch",
    "RegularizedEvolution",
    "SearchOracle",
]
