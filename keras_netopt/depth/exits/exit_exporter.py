"""Writes, times and recalibrates the LiteRT files of calibrated exits."""

import os
import tempfile
from typing import Any

import keras
import numpy as np

from keras_netopt.cost.measure_latency import measure_latency
from keras_netopt.cost.tflite_model import TfliteModel
from keras_netopt.depth.exits.calibrated_stages import CalibratedStages
from keras_netopt.depth.exits.choose_thresholds import choose_thresholds
from keras_netopt.depth.exits.exit_calibration import ExitCalibration
from keras_netopt.depth.exits.exit_costs import FULL, ExitCosts
from keras_netopt.depth.exits.exit_export import ExitExport
from keras_netopt.depth.exits.measured_exits import MeasuredExits
from keras_netopt.depth.exits.model_stages import LOGITS
from keras_netopt.depth.exits.stage_runner import Arrays
from keras_netopt.export.litert_export import to_litert
from keras_netopt.export.litert_report import LitertReport

VERIFY_SAMPLES = 64  # Each file is compared with its stage on these.
CALIBRATION_SAMPLES = 256  # Ranges of full integers come from these.
ROUNDS = 100
BATCH = 32

Latency = tuple[tuple[float | None, ...], float]  # By exit, without exits.


class ExitExporter:
    """Writes, times and recalibrates the LiteRT files of calibrated exits.

    `quantize` and `target` are those of `export.to_litert`. Without
    calibration data the inputs of `validation_data` are used, random ones if
    both are `None`.
    """

    def __init__(
        self,
        exits: CalibratedStages,
        quantize: str | None,
        calibration_data: Any,
        validation_data: tuple[Any, Any] | None,
        target: str | None = None,
    ) -> None:
        self.exits = exits
        self.quantize = quantize
        self.calibration_data = calibration_data
        self.validation_data = validation_data
        self.target = target
        self.inputs = self.sample_inputs(CALIBRATION_SAMPLES)

    def sample_inputs(self, limit: int) -> Arrays:
        """Returns at most `limit` inputs by name."""
        data = self.calibration_data
        if data is None and self.validation_data is not None:
            data = self.validation_data[0]
        tensors = keras.tree.flatten(self.exits.exit_model.input)
        if data is None:
            rng = np.random.default_rng(0)
            shapes = [(VERIFY_SAMPLES, *t.shape[1:]) for t in tensors]
            names = self.exits.stages.inputs
            data = {
                n: rng.random(s) for n, s in zip(names, shapes, strict=True)
            }
        inputs = self.exits.stages.named_inputs(data)
        return {
            name: np.asarray(value)[:limit].astype(tensor.dtype)
            for (name, value), tensor in zip(
                inputs.items(), tensors, strict=True
            )
        }

    def export_stages(self, folder: str) -> list[LitertReport]:
        """Writes one verified file per stage to a folder.

        Each stage is calibrated on the outputs of the files before it.
        """
        reports = []
        tensors = dict(self.inputs)
        for number, stage in enumerate(self.exits.stages.stages):
            path = os.path.join(folder, f"stage_{number}.tflite")
            inputs = {name: tensors[name] for name in stage.inputs}
            reports.append(
                to_litert(
                    stage.model,
                    path,
                    target=self.target,
                    quantize=self.quantize,
                    calibration_data=self._first_samples(inputs),
                )
            )
            tensors.update(_run_file(path, inputs))
        return reports

    def export_backbone(self, path: str) -> LitertReport:
        """Writes the model without exits, as the baseline."""
        exits = self.exits
        return to_litert(
            exits.exit_model.backbone(),
            path,
            target=self.target,
            quantize=self.quantize,
            calibration_data=exits.stages.to_model_inputs(
                self._first_samples(self.inputs), exits.exit_model.input
            ),
        )

    def time_stages(self, paths: list[str]) -> Latency:
        """Times stage files and the baseline in one loop, in milliseconds."""
        names = self.exits.exit_names
        with tempfile.TemporaryDirectory() as folder:
            full = os.path.join(folder, "full.tflite")
            self.export_backbone(full)
            files = dict(zip(names, paths, strict=True))
            report = measure_latency({**files, FULL: full}, rounds=ROUNDS)
        by_stage = [report[name].median for name in names]
        by_exit = tuple(float(total) for total in np.cumsum(by_stage))
        return by_exit, report[FULL].median

    def recalibrate(
        self, paths: list[str], latency: Latency | None = None
    ) -> ExitCalibration:
        """Chooses thresholds on the predictions of quantized stage files.

        The budget stays the same; a latency budget uses `latency`, measured if
        `None`. Float files keep the thresholds of the Keras model.
        """
        exits, costs = self.exits, self.exits.calibration.costs
        if self.quantize is None or self.validation_data is None:
            return exits.calibration
        if costs.unit == "ms":
            by_exit, full = latency or self.time_stages(paths)
            costs = ExitCosts("ms", tuple(t or 0.0 for t in by_exit), full)
        x, y = self.validation_data
        named = exits.stages.named_inputs(x)
        tensors = {name: np.asarray(array) for name, array in named.items()}
        predictions = []
        for stage, path in zip(exits.stages.stages, paths, strict=True):
            outputs = _run_file(path, {n: tensors[n] for n in stage.inputs})
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

    def report(
        self,
        path: str,
        reports: list[LitertReport],
        calibration: ExitCalibration,
        latency: Latency,
        indices: list[int],
    ) -> ExitExport:
        """Returns the report, given the exit indices of verified samples."""
        names = self.exits.exit_names
        has_samples = self.validation_data is not None
        keras_accuracy = self.exits.calibration.point.accuracy
        return ExitExport(
            path=path,
            reports=tuple(reports),
            calibration=calibration,
            exit_names=names,
            latency_ms=latency[0],
            full_ms=latency[1],
            float_accuracy=keras_accuracy if has_samples else None,
            accuracy=calibration.point.accuracy if has_samples else None,
            checked=len(indices),
            branches=tuple(n for k, n in enumerate(names) if k in indices),
        )

    def _first_samples(self, inputs: Arrays) -> Arrays:
        is_full_integer = self.quantize in ("int8", "int16x8")
        count = CALIBRATION_SAMPLES if is_full_integer else VERIFY_SAMPLES
        return {name: array[:count] for name, array in inputs.items()}


def _run_file(path: str, inputs: Arrays) -> Arrays:
    """Runs a file on all samples and returns the outputs by name."""
    lite = TfliteModel(path)
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
