"""Cost of a sample by the exit that it takes."""

import os
import tempfile
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_netopt.cost.measure_latency import measure_latency
from keras_netopt.cost.summarize import summarize
from keras_netopt.depth.exits.exit_model import ExitModel
from keras_netopt.depth.exits.model_stages import ModelStages
from keras_netopt.export.litert_export import to_litert

ROUNDS = 100
FULL = "without exits"


@dataclass(frozen=True)
class ExitCosts:
    """Cost of a sample by the exit that it takes.

    Args:
        unit: "MACs" or "ms".
        by_exit: Cumulative cost of the stages up to each exit, all their
            heads included.
        full: Cost of the model without exits.
    """

    unit: str
    by_exit: tuple[float, ...]
    full: float


def format_cost(cost: float, unit: str) -> str:
    """Formats MACs as an integer, milliseconds with three decimals."""
    return f"{cost:,.0f}" if unit == "MACs" else f"{cost:.3f}"


def count_exit_macs(model: ExitModel, stages: ModelStages) -> ExitCosts:
    """Counts the MACs per sample up to each exit.

    Raises ValueError if the MACs of a layer cannot be counted.
    """
    by_stage = [_macs(stage.model) for stage in stages.stages]
    by_exit = tuple(float(total) for total in np.cumsum(by_stage))
    return ExitCosts("MACs", by_exit, float(_macs(model.backbone())))


def measure_exit_latency(
    model: ExitModel, stages: ModelStages, inputs: dict[str, Any]
) -> ExitCosts:
    """Measures the latency of one sample up to each exit.

    On TensorFlow it runs LiteRT files on one thread, as in deployment; on the
    other backends one Keras call per stage, with `inputs` by name. The costs
    are medians of one interleaved loop.
    """
    with tempfile.TemporaryDirectory() as folder:
        if keras.backend.backend() == "tensorflow":
            subjects, x = _files(model, stages, folder), None
        else:
            subjects, x = _calls(model, stages, inputs), ()
        report = measure_latency(subjects, x, rounds=ROUNDS)
    by_stage = [report[stage.name].median for stage in stages.stages]
    by_exit = tuple(float(total) for total in np.cumsum(by_stage))
    return ExitCosts("ms", by_exit, report[FULL].median)


def _macs(model: keras.Model) -> int:
    report = summarize(model)
    if report.unknown:
        names = [row.name for row in report.unknown]
        raise ValueError(
            "Argument `exit_model` must consist of layers whose MACs can be "
            f"counted. Received: {names} without a MAC rule. Pass "
            "`max_latency_ms` for a budget in milliseconds"
        )
    return report.macs


def _files(
    model: ExitModel, stages: ModelStages, folder: str
) -> dict[str, Any]:
    models = {stage.name: stage.model for stage in stages.stages}
    models[FULL] = model.backbone()
    files = {}
    for number, (name, one) in enumerate(models.items()):
        files[name] = os.path.join(folder, f"{number}.tflite")
        to_litert(one, files[name])
    return files


def _calls(
    model: ExitModel, stages: ModelStages, inputs: dict[str, Any]
) -> dict[str, Any]:
    tensors = {name: np.asarray(value)[:1] for name, value in inputs.items()}
    sample = stages.to_model_inputs(tensors, model.input)
    calls = {FULL: _bind(model.backbone(), sample)}
    for stage in stages.stages:
        stage_inputs = {name: tensors[name] for name in stage.inputs}
        calls[stage.name] = _bind(stage.model, stage_inputs)
        tensors.update(stage.model.predict_on_batch(stage_inputs))
    return calls


def _bind(model: keras.Model, inputs: Any) -> Any:
    return lambda _: model.predict_on_batch(inputs)
