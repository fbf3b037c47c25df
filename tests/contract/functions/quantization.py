"""Rows of the contract for quantization."""

from typing import Any

import keras
from contract import zoo
from contract.function_setting import NOT_A_MODEL, Call, FunctionSetting

from keras_netopt import quantization
from keras_netopt.callbacks import Quantization


def _quantize(**changed: Any) -> Call:
    return lambda model, folder: quantization.quantize(
        model, **{"bits": 4, **changed}
    )


def _train(model: keras.Model) -> None:
    x, y = zoo.data("mlp")
    model.fit(x, y, verbose=0, callbacks=[Quantization(4)])


def _train_ranges(model: keras.Model) -> None:
    x, y = zoo.data("mlp")
    callback = Quantization(8, activations=0.0)
    model.fit(x, y, verbose=0, callbacks=[callback])


def _load(model: keras.Model, folder: Any) -> None:
    path = folder / "ranges.keras"
    if not path.exists():
        trained = zoo.compiled()
        _train_ranges(trained)
        trained.save(path)
    quantization.load_ranges(model, path)


FUNCTIONS = (
    FunctionSetting(
        component="quantization.quantize",
        call=_quantize(),
        is_pruned=False,
        changes=True,
        bad={
            "model": lambda model, folder: quantization.quantize(NOT_A_MODEL),
            "bits": _quantize(bits=True),
            "grid": _quantize(grid="fine"),
            "clusters": _quantize(bits=8, clusters=1),
            "include": _quantize(include="no_such_weight"),
            "exclude": _quantize(exclude="no_such_weight"),
        },
    ),
    FunctionSetting(
        component="quantization.remove_masters",
        call=lambda model, folder: quantization.remove_masters(model),
        prepare=_train,
        changes=True,
        once=True,
        bad={
            "model": lambda model, folder: quantization.remove_masters(
                zoo.compiled()
            )
        },
    ),
    FunctionSetting(
        component="quantization.load_ranges",
        call=_load,
        changes=True,
        bad={
            "model": lambda model, folder: _load(NOT_A_MODEL, folder),
            "path": lambda model, folder: quantization.load_ranges(
                model, folder / "model.h5"
            ),
        },
    ),
    FunctionSetting(
        component="quantization.remove_ranges",
        call=lambda model, folder: quantization.remove_ranges(model),
        prepare=_train_ranges,
        changes=True,
        once=True,
        bad={
            "model": lambda model, folder: quantization.remove_ranges(
                zoo.compiled()
            )
        },
    ),
)
