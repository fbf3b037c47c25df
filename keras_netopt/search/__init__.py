"""Hyperparameter search with KerasTuner's classes.

Names are imported on first use: `import keras_netopt` does not import
KerasTuner.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_netopt.search import spaces as spaces
    from keras_netopt.search.bilevel_data import BilevelData as BilevelData
    from keras_netopt.search.bilevel_data import dataset as dataset
    from keras_netopt.search.constraints import Constraint as Constraint
    from keras_netopt.search.constraints import MaxBytes as MaxBytes
    from keras_netopt.search.constraints import MaxMACs as MaxMACs
    from keras_netopt.search.constraints import MaxParams as MaxParams
    from keras_netopt.search.cost_check import CostCheck as CostCheck
    from keras_netopt.search.cost_check import check_model as check_model
    from keras_netopt.search.folds import KFold as KFold
    from keras_netopt.search.latency_table import LatencyTable as LatencyTable
    from keras_netopt.search.max_latency import MaxLatency as MaxLatency
    from keras_netopt.search.morphism.morphism import Morphism as Morphism
    from keras_netopt.search.oracles.grid_search_oracle import (
        GridSearchOracle as GridSearchOracle,
    )
    from keras_netopt.search.oracles.hyperband_oracle import (
        HyperbandOracle as HyperbandOracle,
    )
    from keras_netopt.search.oracles.nsga2_oracle import (
        NSGA2Oracle as NSGA2Oracle,
    )
    from keras_netopt.search.oracles.optuna_oracle import (
        OptunaOracle as OptunaOracle,
    )
    from keras_netopt.search.oracles.random_search_oracle import (
        RandomSearchOracle as RandomSearchOracle,
    )
    from keras_netopt.search.oracles.regularized_evolution_oracle import (
        RegularizedEvolutionOracle as RegularizedEvolutionOracle,
    )
    from keras_netopt.search.oracles.search_oracle import (
        SearchOracle as SearchOracle,
    )
    from keras_netopt.search.oracles.tpe_oracle import TPEOracle as TPEOracle
    from keras_netopt.search.oracles.zero_cost_oracle import (
        ZeroCostOracle as ZeroCostOracle,
    )
    from keras_netopt.search.reports.html_report import report as report
    from keras_netopt.search.reports.project_reader import (
        read_project as read_project,
    )
    from keras_netopt.search.reports.search_reports import (
        leaderboard as leaderboard,
    )
    from keras_netopt.search.reports.search_reports import plots as plots
    from keras_netopt.search.running.executors import (
        local_processes as local_processes,
    )
    from keras_netopt.search.running.ray_executor import (
        RayExecutor as RayExecutor,
    )
    from keras_netopt.search.scaling.compound_scale import (
        compound_scale as compound_scale,
    )
    from keras_netopt.search.scaling.fit_coefficients import (
        fit_coefficients as fit_coefficients,
    )
    from keras_netopt.search.stoppers import ASHA as ASHA
    from keras_netopt.search.stoppers import MedianStopping as MedianStopping
    from keras_netopt.search.stoppers import (
        PatienceStopping as PatienceStopping,
    )
    from keras_netopt.search.stoppers import Stopper as Stopper
    from keras_netopt.search.subnetworks.weedout import weedout as weedout
    from keras_netopt.search.supernet.compare_architectures import (
        compare_architectures as compare_architectures,
    )
    from keras_netopt.search.supernet.evaluate_subnets import (
        evaluate_subnets as evaluate_subnets,
    )
    from keras_netopt.search.supernet.extract import extract as extract
    from keras_netopt.search.tuner import Tuner as Tuner
    from keras_netopt.search.tuners import NSGA2 as NSGA2
    from keras_netopt.search.tuners import TPE as TPE
    from keras_netopt.search.tuners import GridSearch as GridSearch
    from keras_netopt.search.tuners import Hyperband as Hyperband
    from keras_netopt.search.tuners import Optuna as Optuna
    from keras_netopt.search.tuners import RandomSearch as RandomSearch
    from keras_netopt.search.tuners import (
        RegularizedEvolution as RegularizedEvolution,
    )
    from keras_netopt.search.zero_cost_proxies.ranking import (
        combine_scores as combine_scores,
    )
    from keras_netopt.search.zero_cost_proxies.zero_cost import (
        zero_cost as zero_cost,
    )
    from keras_netopt.search.zero_cost_tuner import ZeroCost as ZeroCost

# The module of each public name.
_MODULES = {
    "ASHA": "stoppers",
    "BilevelData": "bilevel_data",
    "Constraint": "constraints",
    "CostCheck": "cost_check",
    "GridSearch": "tuners",
    "GridSearchOracle": "oracles.grid_search_oracle",
    "Hyperband": "tuners",
    "HyperbandOracle": "oracles.hyperband_oracle",
    "KFold": "folds",
    "LatencyTable": "latency_table",
    "MaxBytes": "constraints",
    "MaxLatency": "max_latency",
    "MaxMACs": "constraints",
    "MaxParams": "constraints",
    "Morphism": "morphism.morphism",
    "MedianStopping": "stoppers",
    "NSGA2": "tuners",
    "NSGA2Oracle": "oracles.nsga2_oracle",
    "Optuna": "tuners",
    "OptunaOracle": "oracles.optuna_oracle",
    "PatienceStopping": "stoppers",
    "RandomSearch": "tuners",
    "RandomSearchOracle": "oracles.random_search_oracle",
    "RayExecutor": "running.ray_executor",
    "RegularizedEvolution": "tuners",
    "RegularizedEvolutionOracle": "oracles.regularized_evolution_oracle",
    "SearchOracle": "oracles.search_oracle",
    "Stopper": "stoppers",
    "TPE": "tuners",
    "TPEOracle": "oracles.tpe_oracle",
    "Tuner": "tuner",
    "compound_scale": "scaling.compound_scale",
    "dataset": "bilevel_data",
    "evaluate_subnets": "supernet.evaluate_subnets",
    "extract": "supernet.extract",
    "fit_coefficients": "scaling.fit_coefficients",
    "check_model": "cost_check",
    "compare_architectures": "supernet.compare_architectures",
    "ZeroCost": "zero_cost_tuner",
    "ZeroCostOracle": "oracles.zero_cost_oracle",
    "zero_cost": "zero_cost_proxies.zero_cost",
    "combine_scores": "zero_cost_proxies.ranking",
    "leaderboard": "reports.search_reports",
    "local_processes": "running.executors",
    "plots": "reports.search_reports",
    "read_project": "reports.project_reader",
    "report": "reports.html_report",
    "weedout": "subnetworks.weedout",
}

_PACKAGES = ("spaces",)

__all__ = sorted([*_MODULES, *_PACKAGES])


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_MODULES[name]}")
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
