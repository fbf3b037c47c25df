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
)
