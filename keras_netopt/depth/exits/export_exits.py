"""Exports a model with early exits to LiteRT."""

import os
from typing import Any

from keras_netopt.checks import check_bool
from keras_netopt.depth.exits.calibrated_stages import CalibratedStages
from keras_netopt.depth.exits.exit_export import ExitExport
from keras_netopt.depth.exits.exit_exporter import ExitExporter
from keras_netopt.depth.exits.single_file import export_single_file
from keras_netopt.depth.exits.stage_files import (
    check_stage_folder,
    export_stage_folder,
)
from keras_netopt.export.converter_choice import choose_converter
from keras_netopt.export.kept_process import keep_process
from keras_netopt.export.output_files import check_target
from keras_netopt.export.quantization_mode import check_mode
from keras_netopt.export.runtime_target import find_target

SINGLE_FILE_MODES = (None, "dynamic")


def export_exits(
    exits: CalibratedStages,
    path: str | os.PathLike[str],
    *,
    single_file: bool = False,
    quantize: str | None = None,
    calibration_data: Any = None,
    validation_data: tuple[Any, Any] | None = None,
    target: str | None = None,
    overwrite: bool = False,
) -> ExitExport:
    """Writes calibrated exits as LiteRT files and verifies them.

    A folder holds one file per stage, `thresholds.json` and `runner.py`, which
    needs only numpy and the interpreter; every kind of quantization works. A
    single file has one branch (IF) per exit and takes a batch of 1. The
    arguments and errors are those of `CalibratedExits.export`.
    """
    check_bool(overwrite, "overwrite")
    choose_converter()
    check_mode(quantize)
    if (runtime := find_target(target)) is not None:
        runtime.check_arguments(quantize)
    if quantize is not None and validation_data is None:
        raise ValueError(
            "Argument `validation_data` must be given for quantized files, "
            "whose thresholds are calibrated on their own predictions. "
            "Received: validation_data=None. Pass (x, y) held out from "
            "training"
        )
    if single_file and quantize not in SINGLE_FILE_MODES:
        raise ValueError(
            "Argument `quantize` must be None or 'dynamic' for a single "
            "file: with full-integer quantization the branches stay in float "
            "(measured: 9.49 MB, against 3.23 MB for the same network without "
            f"branches). Received: quantize={quantize!r}. Export one file per "
            "stage with `single_file=False`"
        )
    if single_file:
        path = check_target(path, overwrite)
    else:
        check_stage_folder(path, overwrite)
    exporter = ExitExporter(
        exits, quantize, calibration_data, validation_data, target
    )
    export = export_single_file if single_file else export_stage_folder
    with keep_process():
        return export(exporter, os.fspath(path))
