"""Rows of the contract for export and cost."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
from contract import zoo
from contract.function_setting import NOT_A_MODEL, Call, FunctionSetting
from litert_by_hand import write_dense

from keras_netopt import cost, export


def _litert(**changed: Any) -> Call:
    return lambda model, folder: export.to_litert(
        model,
        **{"path": folder / "model.tflite", "overwrite": True, **changed},
    )


def _file(folder: Path) -> Path:
    """A file of its own: a dense layer."""
    return write_dense(folder / "dense.tflite", np.eye(2, 3), [0, 0, 1])


def _evaluate(**changed: Any) -> Call:
    def call(model, folder):
        arguments = {"path": _file(folder), "x": np.eye(2), "y": [0, 1]}
        return export.evaluate(**{**arguments, **changed}).metrics

    return call


def _micro(**changed: Any) -> Call:
    def call(model, folder):
        arguments = {"path": _file(folder), "data": np.eye(2), **changed}
        return export.micro_report(**arguments).activation_bytes

    return call


def _c_array(**changed: Any) -> Call:
    def call(model, folder):
        arguments = {"path": _file(folder), "target": folder / "model.h"}
        return export.to_c_array(**{**arguments, "overwrite": True, **changed})

    return call


def _advise(**changed: Any) -> Call:
    def call(model, folder):
        arguments = {"model": model, "target": "gpu", "measure": False}
        return str(export.advise(**{**arguments, **changed}))

    return call


def _page(**changed: Any) -> Call:
    def call(model, folder):
        path = write_dense(folder / "one.tflite", np.eye(2, 3), [0, 0, 1], 1)
        arguments = {"path": path, "folder": folder / "page", "x": np.eye(2)}
        return export.write_web_page(
            **{**arguments, "overwrite": True, **changed}
        )

    return call


def _latency(**changed: Any) -> Call:
    def call(model, folder):
        arguments = {"models": model, "rounds": 2, "warmup": 0, **changed}
        cost.measure_latency(**arguments)

    return call


FUNCTIONS = (
    FunctionSetting(
        component="export.to_litert",
        call=lambda model, folder: _litert()(model, folder).size,
        tensorflow=True,
        bad={
            "model": lambda model, folder: _litert()(NOT_A_MODEL, folder),
            "path": _litert(path="model.pb"),
            "quantize": _litert(quantize="int3"),
            "sparse": _litert(sparse=True, quantize="int16x8"),
            "calibration_data": _litert(
                calibration_data=np.zeros((4, 9), "float32")
            ),
            "quantized_io": _litert(quantized_io=True),
            "compact": _litert(compact=1),
            "input_signature": _litert(
                input_signature=[keras.InputSpec(shape=(1, 8))] * 2
            ),
            "overwrite": _litert(overwrite="yes"),
            "converter": _litert(converter="onnx"),
            "target": _litert(target="browser"),
        },
        free=("allow_select_tf_ops", "seed"),
    ),
    FunctionSetting(
        component="export.evaluate",
        call=lambda model, folder: _evaluate()(model, folder),
        bad={
            "path": _evaluate(path=3),
            "x": _evaluate(x=np.zeros((2, 9))),
            "y": _evaluate(y=[0, 7]),
            "metrics": _evaluate(metrics="mme"),
            "batch_size": _evaluate(batch_size=0),
        },
    ),
    FunctionSetting(
        component="export.inspect_file",
        call=lambda model, folder: export.inspect_file(_file(folder)).ops,
        bad={"path": lambda model, folder: export.inspect_file(3)},
    ),
    FunctionSetting(
        component="export.micro_report",
        call=lambda model, folder: _micro()(model, folder),
        bad={
            "path": _micro(path=3),
            "data": _micro(data=np.zeros((2, 9))),
        },
        free=("seed",),
    ),
    FunctionSetting(
        component="export.advise",
        call=_advise(),
        bad={
            "model": _advise(model=3),
            "target": _advise(target="tpu"),
            "input_shape": _advise(input_shape=((1, 8), (1, 8))),
            "measure": _advise(measure=1),
            "verbose": _advise(verbose=2),
        },
    ),
    FunctionSetting(
        component="export.to_c_array",
        call=lambda model, folder: _c_array()(model, folder),
        bad={
            "path": _c_array(path=3),
            "target": _c_array(target="model.pb"),
            "name": _c_array(name="int"),
            "overwrite": _c_array(overwrite=1),
        },
    ),
    FunctionSetting(
        component="export.tfmot",
        call=lambda model, folder: str(export.tfmot(model).report),
        bad={
            "model": lambda model, folder: export.tfmot(NOT_A_MODEL),
            "twins": lambda model, folder: export.tfmot(model, twins=[3]),
            "split_activations": lambda model, folder: export.tfmot(
                model, split_activations="yes"
            ),
        },
    ),
    FunctionSetting(
        component="export.write_web_page",
        call=lambda model, folder: _page()(model, folder).endswith("html"),
        bad={
            "path": _page(path=3),
            "folder": _page(folder=3),
            "x": _page(x=np.zeros((2, 9))),
            "y": _page(y=[0, 7]),
            "class_names": _page(class_names="ab"),
            "overwrite": _page(overwrite=1),
        },
    ),
    FunctionSetting(
        component="cost.summarize",
        call=lambda model, folder: str(cost.summarize(model)),
        bad={
            "model": lambda model, folder: cost.summarize(NOT_A_MODEL),
            "input_shape": lambda model, folder: cost.summarize(
                model, input_shape=((1, 8), (1, 8))
            ),
            "training": lambda model, folder: cost.summarize(model, training=1),
        },
    ),
    FunctionSetting(
        component="cost.matched_epochs",
        call=lambda model, folder: cost.matched_epochs(9, model, samples=2),
        bad={
            "spent": lambda model, folder: cost.matched_epochs(
                -1, model, samples=2
            ),
            "model": lambda model, folder: cost.matched_epochs(
                9, NOT_A_MODEL, samples=2
            ),
            "samples": lambda model, folder: cost.matched_epochs(
                9, model, samples=0
            ),
        },
    ),
    FunctionSetting(
        component="cost.measure_latency",
        call=lambda model, folder: _latency(x=zoo.data("mlp")[0])(
            model, folder
        ),
        bad={
            "models": _latency(models=3),
            "x": _latency(models=sum),
            "rounds": _latency(rounds=0),
            "warmup": _latency(warmup=-1),
        },
    ),
)
