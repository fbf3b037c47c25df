"""Exports one LiteRT file per stage, the thresholds and a device runner."""

import dataclasses
import hashlib
import json
import os
import shutil

from keras_netopt.depth.exits import device_runner
from keras_netopt.depth.exits.calibrated_stages import CalibratedStages
from keras_netopt.depth.exits.check_decisions import check_decisions
from keras_netopt.depth.exits.exit_calibration import ExitCalibration
from keras_netopt.depth.exits.exit_export import ExitExport
from keras_netopt.depth.exits.exit_exporter import ExitExporter
from keras_netopt.depth.exits.model_stages import LOGITS
from keras_netopt.export.litert_report import LitertReport
from keras_netopt.files import write_folder_aside

THRESHOLDS, RUNNER = "thresholds.json", "runner.py"
DECISION_SAMPLES = 200  # Decisions are compared on these.


def check_stage_folder(folder: str | os.PathLike[str], overwrite: bool) -> None:
    """Raises FileExistsError for a folder of stages unless `overwrite`."""
    if not overwrite and os.path.exists(os.path.join(folder, THRESHOLDS)):
        raise FileExistsError(
            "Argument `path` must be a folder without exported stages unless "
            f"`overwrite=True`. Received: path={os.fspath(folder)!r}, which "
            f"holds {THRESHOLDS}"
        )


def export_stage_folder(exporter: ExitExporter, folder: str) -> ExitExport:
    """Writes the stages of calibrated exits to a folder, created if missing."""
    exits, inputs = exporter.exits, exporter.inputs
    with write_folder_aside(folder, THRESHOLDS) as scratch:
        reports = exporter.export_stages(scratch)
        paths = [report.path for report in reports]
        latency = exporter.time_stages(paths)
        calibration = exporter.recalibrate(paths, latency)
        _write_thresholds(exits, calibration, scratch, reports)
        shutil.copyfile(device_runner.__file__, os.path.join(scratch, RUNNER))
        indices = check_decisions(
            exits,
            calibration,
            scratch,
            {name: array[:DECISION_SAMPLES] for name, array in inputs.items()},
            exact=exporter.quantize is None,
        )
    reports = [_with_folder(report, folder) for report in reports]
    return exporter.report(folder, reports, calibration, latency, indices)


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


def _with_folder(report: LitertReport, folder: str) -> LitertReport:
    path = os.path.join(folder, os.path.basename(report.path))
    return dataclasses.replace(report, path=path)
