"""The LiteRT files of the demo."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras

from keras_netopt import cost, export
from keras_netopt.demo.demo_model import DemoData, DemoModel

FLOAT, INT8 = "float32", "int8"
VERIFIED = 256
ROUNDS = 200


def export_arm(
    model: keras.Model, arm: DemoModel, data: DemoData, folder: Path
) -> dict[str, export.LitertReport]:
    """Writes a float file (sparse if pruned) and a dynamic int8 file.

    Returns the report of each file, "float32" and "int8".
    """
    stem = arm.name.replace(" % zeros", "")
    settings: dict[str, tuple[str, dict[str, Any]]] = {
        FLOAT: (f"{stem}.tflite", {"sparse": bool(arm.zeros)}),
        INT8: (f"{stem}-int8.tflite", {"quantize": "dynamic"}),
    }
    files = {}
    for variant, (name, options) in settings.items():
        with warnings.catch_warnings():
            # The reports contain them; printed below.
            warnings.simplefilter("ignore", UserWarning)
            files[variant] = export.to_litert(
                model,
                folder / name,
                calibration_data=data.x_test[:VERIFIED],
                overwrite=True,
                **options,
            )
        for warning in files[variant].warnings:
            print(f"      {name}: {warning}")
    return files


def measure_files(arms: Sequence[DemoModel], data: DemoData) -> list[DemoModel]:
    """Measures the latency of all files in one interleaved loop."""
    paths = {
        f"{arm.name} {variant}": report.path
        for arm in arms
        for variant, report in arm.files.items()
    }
    measured = cost.measure_latency(paths, data.x_test[:1], rounds=ROUNDS)
    return [
        replace(
            arm,
            files={
                variant: replace(
                    report, latency=measured[f"{arm.name} {variant}"]
                )
                for variant, report in arm.files.items()
            },
        )
        for arm in arms
    ]
