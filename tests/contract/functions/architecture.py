"""Contract settings of the functions of architecture search."""

from typing import Any

import keras
import numpy as np
from contract.function_setting import NOT_A_MODEL, Call, FunctionSetting

from keras_netopt import layers, search


def supernet() -> keras.Model:
    keras.utils.set_random_seed(7)
    candidates = [keras.layers.Dense(4), keras.layers.Identity()]
    choice = layers.Choice(candidates, name="choice")
    norm = keras.layers.BatchNormalization()
    return keras.Sequential([keras.Input((4,)), choice, norm])


def _extract(**changed: Any) -> Call:
    arguments = {"architecture": {"choice": 0}, **changed}
    return lambda model, folder: search.extract(
        supernet(), **arguments
    ).count_params()


def _dataset(**changed: Any) -> Call:
    x, y = np.arange(12.0).reshape(12, 1), np.arange(12) % 2
    arguments = {"x": x, "y": y, "batch_size": 2, **changed}
    return lambda model, folder: repr(search.dataset(**arguments))


def _evaluate(**changed: Any) -> Call:
    x = np.ones((8, 4), "float32")

    def call(model: keras.Model, folder: Any) -> Any:
        model = supernet()
        model.compile(loss="mse")
        arguments = {
            "model": model,
            "architectures": [{"choice": 1}],
            "x": x,
            "y": x,
            "calibration_data": x,
            **changed,
        }
        return search.evaluate_subnets(**arguments)[0]["loss"]

    return call


def _compare(**changed: Any) -> Call:
    """A comparison that is refused, or one without a second architecture."""

    def call(model: keras.Model, folder: Any) -> str:
        network = supernet()
        network.compile("sgd", "mse", run_eagerly=True)
        x = np.ones((4, 4))
        arguments = {
            "model": network,
            "x": x,
            "y": x,
            "validation_data": (x, x),
            "architecture": {"choice": 0},
            "tolerance": 1.0,
            **changed,
        }
        return str(search.compare_architectures(**arguments))

    return call


def _latency(**changed: Any) -> Call:
    return lambda model, folder: search.MaxLatency(**changed).get_config()


def _ratio(ratio: Any, reference: Any = None) -> Call:
    def call(model, folder):
        search.MaxLatency(ratio=ratio, reference=reference or model)

    return call


def _limit(name: str) -> FunctionSetting:
    """A limit that is counted, not measured."""
    limit = getattr(search, name)
    return FunctionSetting(
        component=f"search.{name}",
        call=lambda model, folder: limit(1e6).measure(model),
        is_pruned=False,
        bad={"at_most": lambda model, folder: limit(-1.0)},
    )


FUNCTIONS = (
    *map(_limit, ("MaxParams", "MaxMACs", "MaxBytes")),
    FunctionSetting(
        component="search.MaxLatency",
        call=_latency(at_most=5.0),
        is_pruned=False,
        bad={
            "at_most": _latency(at_most=0.0),
            "quantize": _latency(at_most=5.0, quantize="int8"),
            "ratio": _ratio(-1.0),
            "reference": _ratio(0.5, 3),
            "rounds": _latency(at_most=5.0, rounds=0),
            "cache": _latency(at_most=5.0, cache=3),
        },
    ),
    FunctionSetting(
        component="search.LatencyTable",
        call=lambda model, folder: search.LatencyTable(
            {"edge": {"a": 0.5, "b": 1.0}}, 0.25
        ).predict({"edge": 1}),
        is_pruned=False,
        free=("blocks", "fixed", "predicted", "measured"),
    ),
    FunctionSetting(
        component="search.check_model",
        call=lambda model, folder: (
            search.check_model(model, search.MaxParams(1e6)).costs
        ),
        is_pruned=False,
        bad={
            "model": lambda model, folder: search.check_model(
                NOT_A_MODEL, search.MaxParams(1e6)
            ),
            "constraints": lambda model, folder: search.check_model(model, 3),
        },
    ),
    FunctionSetting(
        component="search.compare_architectures",
        call=_compare(),
        is_pruned=False,
        bad={
            "model": _compare(model=NOT_A_MODEL),
            "architecture": _compare(architecture={"choice": 5}),
            "n_random": _compare(n_random=0),
            "epochs": _compare(epochs=0),
            "batch_size": _compare(batch_size=0),
            "tolerance": _compare(tolerance=0.0),
            "monitor": _compare(monitor="bleu"),
            "seed": _compare(seed=-1),
        },
        free=("x", "y", "validation_data", "verbose"),
    ),
    FunctionSetting(
        component="search.dataset",
        call=_dataset(),
        is_pruned=False,
        bad={
            "batch_size": _dataset(batch_size=7),
            "validation_split": _dataset(validation_split=1.0),
            "order": _dataset(order=3),
            "sample_weight": _dataset(sample_weight=np.ones(3)),
            "seed": _dataset(seed=-1),
            "x": _dataset(x=np.ones((3, 1))),
            "y": _dataset(y=np.ones(3)),
        },
    ),
    FunctionSetting(
        component="search.extract",
        call=_extract(),
        is_pruned=False,
        bad={
            "model": lambda model, folder: search.extract(NOT_A_MODEL),
            "architecture": _extract(architecture={"choice": 2}),
            "calibration_data": _extract(calibration_data=3),
        },
    ),
    FunctionSetting(
        component="search.evaluate_subnets",
        call=_evaluate(),
        is_pruned=False,
        bad={
            "model": _evaluate(model=NOT_A_MODEL),
            "architectures": _evaluate(architectures=[{"choice": 2}]),
            "x": _evaluate(x=np.zeros((0, 4), "float32")),
            "y": _evaluate(y=np.zeros((3, 4), "float32")),
            "calibration_data": _evaluate(calibration_data=None),
            "batches": _evaluate(batches=0),
            "batch_size": _evaluate(batch_size=0),
            "recalibrate": _evaluate(recalibrate=1),
        },
    ),
)
