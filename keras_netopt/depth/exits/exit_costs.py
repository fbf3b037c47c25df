"""What a sample costs by the exit at which it leaves."""

import os
import tempfile
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_netopt.cost.measure_latency import measure_latency
from keras_netopt.cost.summarize import summarize
from keras_netopt.depth.exits.exit_model import ExitModel
from keras_netopt.depth.exits.stages import ModelStages
from keras_netopt.export.litert_export import to_litert

ROUNDS = 100
FULL = "without exits"


@dataclass(frozen=True)
class ExitCosts:
    """What a sample costs, by the exit at which it leaves.

    Example:

    >>> ExitCosts("MACs", (10.0, 50.0), 45.0).by_exit[0]
    10.0

    Args:
        unit: "MACs" or "ms".
        by_exit: Cumulative cost, every head tried on the way included.
        full: Cost of the model without exits.
    """

    unit: str
    by_exit: tuple[float, ...]
    full: float


def count_macs(model: ExitModel, stages: ModelStages) -> ExitCosts:
    """Counts the MACs of a sample that leaves at each exit.

    Args:
        model: A model with exits.
        stages: Its stages.

    Returns:
        The costs.

    Raises:
        ValueError: If a layer has no rule.
    """
    counted = [_macs(stage.model) for stage in stages.stages]
    by_exit = tuple(float(total) for total in np.cumsum(counted))
    return ExitCosts("MACs", by_exit, float(_macs(model.backbone())))


def measure_milliseconds(
    model: ExitModel, stages: ModelStages, feeds: dict[str, Any]
) -> ExitCosts:
    """Times one sample that leaves at each exit.

    On TensorFlow these are LiteRT files on one thread, which is what ships;
    elsewhere one call of Keras a stage.

    Args:
        model: A model with exits.
        stages: Its stages.
        feeds: Inputs, by name.

    Returns:
        The costs; all medians of one interleaved loop.
    """
    with tempfile.TemporaryDirectory() as folder:
        if keras.backend.backend() == "tensorflow":
            subjects, x = _files(model, stages, folder), None
        else:
            subjects, x = _calls(model, stages, feeds), ()
        report = measure_latency(subjects, x, rounds=ROUNDS)
    taken = [report[stage.name].median for stage in stages.stages]
    by_exit = tuple(float(total) for total in np.cumsum(taken))
    return ExitCosts("ms", by_exit, report[FULL].median)


def _macs(model: keras.Model) -> int:
    report = summarize(model)
    if report.unknown:
        names = [row.name for row in report.unknown]
        raise ValueError(
            "Argument `exit_model` must hold layers whose MACs can be "
            f"counted. Received: {names} without a rule. Pass "
            "`max_latency_ms` to choose by the clock"
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
    model: ExitModel, stages: ModelStages, feeds: dict[str, Any]
) -> dict[str, Any]:
    first = {name: np.asarray(value)[:1] for name, value in feeds.items()}
    backbone, held = model.backbone(), dict(first)
    flat = [first[name] for name in stages.inputs]
    whole = keras.tree.pack_sequence_as(model.input, flat)
    calls = {FULL: _bound(backbone, whole)}
    for stage in stages.stages:
        reads = {name: held[name] for name in stage.inputs}
        calls[stage.name] = _bound(stage.model, reads)
        held.update(stage.model.predict_on_batch(reads))
    return calls


def _bound(model: keras.Model, reads: Any) -> Any:
    return lambda _: model.predict_on_batch(reads)
