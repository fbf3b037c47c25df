"""Exports one LiteRT file per stage, the thresholds and a device runner."""

import contextlib
import dataclasses
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_netopt.cost.measure_latency import measure_latency
from keras_netopt.cost.tflite_model import TfliteModel
from keras_netopt.depth.exits import device_runner
from keras_netopt.depth.exits.calibrated_stages import CalibratedStages
from keras_netopt.depth.exits.check_decisions import check_decisions
from keras_netopt.depth.exits.choose_thresholds import choose_thresholds
from keras_netopt.depth.exits.exit_calibration import ExitCalibration
from keras_netopt.depth.exits.exit_costs import FULL, ExitCosts
from keras_netopt.depth.exits.exit_export import ExitExport
from keras_netopt.depth.exits.measured_exits import MeasuredExits
from keras_netopt.depth.exits.model_stages import LOGITS, ModelStages
from keras_netopt.depth.exits.stage_runner import Arrays
from keras_netopt.export.litert_export import to_litert
from keras_netopt.export.litert_report import LitertReport

THRESHOLDS, RUNNER = "thresholds.json", "runner.py"
DECISION_SAMPLES = 200  # Decisions are compared on these.
VERIFY_SAMPLES = 64  # Each file is compared with its stage on these.
CALIBRATION_SAMPLES = 256  # Ranges of full integers come from these.
ROUNDS = 100
BATCH = 32


def export_stage_folder(
    exits: CalibratedStages,
    folder: str,
    quantize: str | None,
    calibration_data: Any,
    validation_data: tuple[Any, Any] | None,
) -> ExitExport:
    """Writes the stages of calibrated exits to a folder.

    Args:
        exits: The calibrated exits.
        folder: The folder, created if missing.
        quantize: As in `export.to_litert`.
        calibration_data: Inputs, or `None`.
        validation_data: Held-out samples and classes, or `None`.

    Returns:
        The report.

    Raises:
        ExportError: If a file is wrong, or its decisions differ from those of
            Keras.
    """
    inputs = sample_inputs(exits, calibration_data, validation_data)
    calibration = exits.calibration
    with _temporary_sibling(folder) as scratch:
        reports = export_stages(exits.stages, scratch, inputs, quantize)
        paths = [report.path for report in reports]
        by_exit, full = time_stage_files(exits, paths, quantize, inputs)
        if quantize is not None and validation_data is not None:
            costs = calibration.costs
            if costs.unit == "ms":
                costs = ExitCosts("ms", by_exit, full)
            calibration = recalibrate_on_files(
                exits, paths, validation_data, costs
            )
        _write_thresholds(exits, calibration, scratch, reports)
        shutil.copyfile(device_runner.__file__, os.path.join(scratch, RUNNER))
        indices = check_decisions(
            exits,
            calibration,
            scratch,
            {name: array[:DECISION_SAMPLES] for name, array in inputs.items()},
            exact=quantize is None,
        )
        _move_files(scratch, folder)
    return export_report(
        exits,
        folder,
        [_with_folder(report, folder) for report in reports],
        calibration,
        (by_exit, full),
        indices,
        has_samples=validation_data is not None,
    )


def export_report(
    exits: CalibratedStages,
    path: str,
    reports: list[LitertReport],
    calibration: ExitCalibration,
    latency: tuple[tuple[float | None, ...], float],
    indices: list[int],
    *,
    has_samples: bool,
) -> ExitExport:
    """Builds the report from the exit indices of verified samples."""
    names = exits.exit_names
    return ExitExport(
        path=path,
        reports=tuple(reports),
        calibration=calibration,
        exit_names=names,
        latency_ms=latency[0],
        full_ms=latency[1],
        float_accuracy=(
            exits.calibration.point.accuracy if has_samples else None
        ),
        accuracy=calibration.point.accuracy if has_samples else None,
        checked=len(indices),
        branches=tuple(n for k, n in enumerate(names) if k in indices),
    )


def sample_inputs(
    exits: CalibratedStages,
    calibration_data: Any,
    validation_data: tuple[Any, Any] | None,
    *,
    limit: int = CALIBRATION_SAMPLES,
) -> Arrays:
    """Returns inputs by name to run files with.

    Args:
        exits: The calibrated exits.
        calibration_data: The user's inputs, or `None`.
        validation_data: Held-out samples and classes, or `None`.
        limit: Largest number of samples. Defaults to `CALIBRATION_SAMPLES`.

    Returns:
        The inputs; random ones if both are `None`.
    """
    data = calibration_data
    if data is None and validation_data is not None:
        data = validation_data[0]
    tensors = keras.tree.flatten(exits.exit_model.input)
    if data is None:
        rng = np.random.default_rng(0)
        data = [rng.random((VERIFY_SAMPLES, *t.shape[1:])) for t in tensors]
    inputs = exits.stages.named_inputs(data)
    return {
        name: np.asarray(value)[:limit].astype(tensor.dtype)
        for (name, value), tensor in zip(inputs.items(), tensors, strict=True)
    }


def export_stages(
    stages: ModelStages, folder: str, inputs: Arrays, quantize: str | None
) -> list[LitertReport]:
    """Writes one verified file per stage.

    Each stage is calibrated on the outputs of the files before it.

    Args:
        stages: The stages.
        folder: The folder.
        inputs: Inputs by name.
        quantize: As in `export.to_litert`.

    Returns:
        One report per stage.
    """
    reports = []
    tensors = dict(inputs)
    for number, stage in enumerate(stages.stages):
        path = os.path.join(folder, f"stage_{number}.tflite")
        stage_inputs = {name: tensors[name] for name in stage.inputs}
        reports.append(
            to_litert(
                stage.model,
                path,
                quantize=quantize,
                calibration_data=_first_samples(stage_inputs, quantize),
            )
        )
        tensors.update(run_lite_model(TfliteModel(path), stage_inputs))
    return reports


def run_lite_model(lite: TfliteModel, inputs: Arrays) -> Arrays:
    """Runs a file on all samples.

    Args:
        lite: The file.
        inputs: Inputs by name.

    Returns:
        Outputs by name.
    """
    count = len(next(iter(inputs.values())))
    batch = next(iter(lite.inputs.values())).shape[0] or BATCH
    whole = count - count % batch
    parts = [
        lite.run({n: a[s : s + batch] for n, a in inputs.items()})
        for s in range(0, whole, batch)
    ]
    if whole < count:
        parts.append(lite.run({n: a[whole:] for n, a in inputs.items()}))
    return {n: np.concatenate([p[n] for p in parts]) for n in parts[0]}


def recalibrate_on_files(
    exits: CalibratedStages,
    paths: list[str],
    validation_data: tuple[Any, Any],
    costs: ExitCosts,
) -> ExitCalibration:
    """Chooses thresholds on the predictions of files.

    Args:
        exits: The calibrated exits.
        paths: One file per stage.
        validation_data: Held-out samples and classes.
        costs: Cost by exit.

    Returns:
        The thresholds of the files, for the same budget.
    """
    x, y = validation_data
    named = exits.stages.named_inputs(x)
    tensors = {name: np.asarray(array) for name, array in named.items()}
    predictions = []
    for stage, path in zip(exits.stages.stages, paths, strict=True):
        outputs = run_lite_model(
            TfliteModel(path), {n: tensors[n] for n in stage.inputs}
        )
        predictions.append(outputs.pop(LOGITS))
        known = tensors | outputs
        tensors = {name: known[name] for name in stage.live}
    note = "thresholds calibrated on the predictions of the files"
    return choose_thresholds(
        exits.exit_names,
        MeasuredExits.from_outputs(predictions, y, exits.criterion),
        costs,
        exits.calibration.goal,
        exits.criterion,
        (*exits.calibration.notes, note),
    )


def time_stage_files(
    exits: CalibratedStages,
    paths: list[str],
    quantize: str | None,
    inputs: Arrays,
) -> tuple[tuple[float, ...], float]:
    """Times the stages and the model without exits in one loop.

    Args:
        exits: The calibrated exits.
        paths: One file per stage.
        quantize: As in `export.to_litert`.
        inputs: Inputs by name.

    Returns:
        Cumulative milliseconds by exit, and those without exits.
    """
    with tempfile.TemporaryDirectory() as folder:
        full = os.path.join(folder, "full.tflite")
        export_backbone(exits, full, quantize, inputs)
        files = dict(zip(exits.exit_names, paths, strict=True))
        report = measure_latency({**files, FULL: full}, rounds=ROUNDS)
    by_stage = [report[name].median for name in exits.exit_names]
    by_exit = tuple(float(total) for total in np.cumsum(by_stage))
    return by_exit, report[FULL].median


def export_backbone(
    exits: CalibratedStages, path: str, quantize: str | None, inputs: Arrays
) -> LitertReport:
    """Writes the model without exits, as the baseline.

    Args:
        exits: The calibrated exits.
        path: The file.
        quantize: As in `export.to_litert`.
        inputs: Inputs by name.

    Returns:
        The report.
    """
    return to_litert(
        exits.exit_model.backbone(),
        path,
        quantize=quantize,
        calibration_data=exits.stages.to_model_inputs(
            _first_samples(inputs, quantize), exits.exit_model.input
        ),
    )


def _first_samples(inputs: Arrays, quantize: str | None) -> Arrays:
    full_integer = quantize in ("int8", "int16x8")
    count = CALIBRATION_SAMPLES if full_integer else VERIFY_SAMPLES
    return {name: array[:count] for name, array in inputs.items()}


def _write_thresholds(
    exits: CalibratedStages,
    calibration: ExitCalibration,
    folder: str,
    reports: list[LitertReport],
) -> None:
    content = {**exits.to_dict(), **calibration.to_dict()}
    content["inputs"] = list(exits.stages.inputs)
    for row, report, stage in zip(
        content["stages"], reports, exits.stages.stages, strict=True
    ):
        with open(report.path, "rb") as file:
            digest = hashlib.sha256(file.read()).hexdigest()
        row.update(
            file=os.path.basename(report.path),
            sha256=digest,
            bytes=report.size.raw,
            inputs=list(stage.inputs),
            outputs=[*stage.features, LOGITS],
        )
    with open(os.path.join(folder, THRESHOLDS), "w", encoding="utf-8") as file:
        json.dump(content, file, indent=2)


@contextlib.contextmanager
def _temporary_sibling(folder: str) -> Iterator[str]:
    """A temporary folder on the same disk, for a move without a copy."""
    parent = os.path.dirname(os.path.abspath(folder))
    if not os.path.isdir(parent):
        raise FileNotFoundError(f"No such folder: {parent!r}")
    with tempfile.TemporaryDirectory(dir=parent, prefix=".exits-") as scratch:
        yield scratch


def _move_files(source: str, folder: str) -> None:
    os.makedirs(folder, exist_ok=True)
    for name in sorted(os.listdir(source)):
        os.replace(os.path.join(source, name), os.path.join(folder, name))


def _with_folder(report: LitertReport, folder: str) -> LitertReport:
    path = os.path.join(folder, os.path.basename(report.path))
    return dataclasses.replace(report, path=path)
