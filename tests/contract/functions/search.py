"""Rows of the contract for what surrounds the oracles of a search."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from contract.function_setting import NOT_A_MODEL, Call, FunctionSetting
from contract.oracles import ORACLES

from keras_netopt import search

PROJECT = Path(__file__).parents[2] / "search" / "projects" / "random"


def _of_project(name: str) -> Callable[..., Call]:
    """A report of a small project folder, as text."""

    def changed(**other: Any) -> Call:
        arguments = {"directory": PROJECT, **other}
        return lambda model, folder: str(getattr(search, name)(**arguments))

    return changed


_read = _of_project("read_project")
_leaderboard = _of_project("leaderboard")
_plots = _of_project("plots")


def _report(**other: Any) -> Call:
    def call(model, folder):
        path = Path(folder) / "report.html"
        return search.report(**{"directory": PROJECT, "path": path, **other})

    return call


def _rule(name: str, **arguments: Any) -> Callable[..., Call]:
    """What a stopper says of three trials."""

    def changed(**other: Any) -> Call:
        def call(model, folder):
            rule = getattr(search, name)(**{**arguments, **other})
            rule.on_search_begin(8)
            return [rule.should_stop(str(k), 1, float(k)) for k in range(3)]

        return call

    return changed


def _zero_cost(**other: Any) -> Call:
    def call(model, folder):
        options = {
            "model": model,
            "x": np.ones((4, *model.input_shape[1:]), "float32"),
            "proxies": ["synflow", "params"],
            "samples": 3,
            **other,
        }
        return dict(search.zero_cost(**options).scores)

    return call


def _combine(**other: Any) -> Call:
    given = {"scores": [{"a": 1.0}, {"a": 2.0}], **other}
    return lambda model, folder: list(search.combine_scores(**given))


_asha = _rule("ASHA")
_median = _rule("MedianStopping")
_patience = _rule("PatienceStopping")


def _tuner(**other: Any) -> Call:
    """A tuner of its own folder."""

    def call(model, folder):
        options = {
            "hypermodel": lambda hp: (hp.Float("rate", 0.1, 1.0), model)[1],
            "oracle": search.RandomSearchOracle("val_loss", 2),
            "directory": folder,
            **other,
        }
        return sorted(search.Tuner(**options).get_state())

    return call


# Wrong values of the arguments of every tuner.
TUNER_BAD = {
    "stopper": "asha",
    "folds": 1,
    "executions_per_trial": 0,
    "constraints": [3],
    "isolate": "yes",
    "workers": 0,
    "max_time": -1.0,
    "patience": 0,
    "resume": "never",
    "score_epoch": "mean",
    "keep_weights": "some",
    "confirm": -1,
    "confirm_seeds": 0,
    "executor": "two",
}


def _tuner_setting(setting: Any) -> FunctionSetting:
    """A tuner with an oracle of its own: the wrong values of both."""
    name = setting.row.short_name.removesuffix("Oracle")
    tuner_class = getattr(search, name)

    def changed(**other: Any) -> Call:
        def call(model, folder):
            options = {
                "hypermodel": lambda hp: (hp.Float("rate", 0.1, 1.0), model)[1],
                "objective": setting.objective,
                "directory": folder,
                **setting.arguments,
                **other,
            }
            return sorted(tuner_class(**options).get_state())

        return call

    known = set(inspect.signature(tuner_class).parameters)
    bad = {"hypermodel": None, **TUNER_BAD, **setting.all_bad()}
    return FunctionSetting(
        component=f"search.{name}",
        call=changed(),
        is_pruned=False,
        bad={
            argument: changed(**{argument: value})
            for argument, value in bad.items()
            if argument in known
        },
        free=tuple(known & FREE),
    )


# Arguments of KerasTuner, which it checks or accepts as they are.
FREE = {
    *("objective", "hyperparameters", "allow_new_entries"),
    *("tune_new_entries", "max_retries_per_trial"),
    *("max_consecutive_failed_trials", "max_model_size", "optimizer", "loss"),
    *("metrics", "distribution_strategy", "logger", "tuner_id"),
    *("host", "directory", "project_name", "overwrite"),
}


def _processes(**other: Any) -> Call:
    return lambda model, folder: search.local_processes(
        **{"workers": 2, **other}
    )


def _ray(**changed: Any) -> Call:
    return lambda model, folder: search.RayExecutor(**changed).shares


FUNCTIONS = (
    *map(_tuner_setting, ORACLES),
    FunctionSetting(
        component="search.read_project",
        call=_read(),
        is_pruned=False,
        bad={
            "directory": _read(directory=3),
            "objective": _read(objective="val_beauty"),
        },
    ),
    FunctionSetting(
        component="search.leaderboard",
        call=_leaderboard(),
        is_pruned=False,
        bad={
            "directory": _leaderboard(directory=PROJECT.parent),
            "top": _leaderboard(top=0),
            "objective": _leaderboard(objective="val_beauty"),
        },
    ),
    FunctionSetting(
        component="search.plots",
        call=_plots(),
        is_pruned=False,
        bad={
            "directory": _plots(directory=PROJECT / "oracle.json"),
            "objective": _plots(objective="val_beauty"),
            "metrics": _plots(metrics=("val_loss", "beauty")),
            "folder": _plots(folder=3),
        },
    ),
    FunctionSetting(
        component="search.report",
        call=_report(),
        is_pruned=False,
        bad={
            "directory": _report(directory=PROJECT / "oracle.json"),
            "path": _report(path="report.txt"),
            "objective": _report(objective="val_beauty"),
            "metrics": _report(metrics=("val_loss", "beauty")),
        },
    ),
    FunctionSetting(
        component="search.Tuner",
        call=_tuner(),
        is_pruned=False,
        bad={
            "hypermodel": _tuner(hypermodel=None),
            "oracle": _tuner(oracle="TPE"),
            **{name: _tuner(**{name: v}) for name, v in TUNER_BAD.items()},
        },
        free=("host", "directory", "project_name", "overwrite", "kwargs"),
    ),
    FunctionSetting(
        component="search.ASHA",
        call=_asha(),
        is_pruned=False,
        bad={
            "eta": _asha(eta=1),
            "min_epochs": _asha(min_epochs=0),
            "max_epochs": _asha(max_epochs=0),
            "min_trials": _asha(min_trials=-1),
        },
    ),
    FunctionSetting(
        component="search.MedianStopping",
        call=_median(),
        is_pruned=False,
        bad={
            "n_startup_trials": _median(n_startup_trials=-1),
            "n_warmup_epochs": _median(n_warmup_epochs=-1),
            "interval_epochs": _median(interval_epochs=0),
            "n_min_trials": _median(n_min_trials=0),
        },
    ),
    FunctionSetting(
        component="search.PatienceStopping",
        call=_patience(),
        is_pruned=False,
        bad={
            "patience": _patience(patience=0),
            "min_delta": _patience(min_delta=-0.1),
        },
    ),
    FunctionSetting(
        component="search.zero_cost",
        call=_zero_cost(),
        is_pruned=False,
        bad={
            "model": _zero_cost(model=NOT_A_MODEL),
            "x": _zero_cost(x=np.ones((1, 8), "float32")),
            "y": _zero_cost(proxies="snip"),
            "proxies": _zero_cost(proxies="beauty"),
            "samples": _zero_cost(samples=1),
        },
    ),
    FunctionSetting(
        component="search.combine_scores",
        call=_combine(),
        is_pruned=False,
        bad={"scores": _combine(scores=[{"a": 1.0}, {"b": 2.0}])},
    ),
    FunctionSetting(
        component="search.local_processes",
        call=_processes(),
        is_pruned=False,
        bad={"workers": _processes(workers=0)},
    ),
    FunctionSetting(
        component="search.RayExecutor",
        call=_ray(),
        is_pruned=False,
        bad={"num_cpus": _ray(num_cpus=0), "num_gpus": _ray(num_gpus=-1)},
        free=("options",),
    ),
)
