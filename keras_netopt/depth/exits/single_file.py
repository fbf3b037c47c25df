"""Exports one LiteRT file with a branch per exit."""

import os
import tempfile
import time
from collections.abc import Callable

import numpy as np

from keras_netopt.cost.tflite_model import TfliteModel
from keras_netopt.depth.exits.calibrated_stages import CalibratedStages
from keras_netopt.depth.exits.conditional_stages import (
    build_conditional_model,
)
from keras_netopt.depth.exits.exit_calibration import ExitCalibration
from keras_netopt.depth.exits.exit_export import ExitExport
from keras_netopt.depth.exits.exit_exporter import ExitExporter, Latency
from keras_netopt.depth.exits.stage_runner import Arrays
from keras_netopt.depth.exits.threshold_search import exit_indices
from keras_netopt.export.litert_export import to_litert

SAMPLES_PER_EXIT = 8  # The file is verified on these.
CANDIDATES = 5000  # Samples among which each exit finds its own.
ROUNDS = 100
WARMUP = 5


def export_single_file(exporter: ExitExporter, path: str) -> ExitExport:
    """Writes calibrated exits to one file, in float or with "dynamic" range."""
    exits, calibration = exporter.exits, exporter.exits.calibration
    if exporter.quantize is not None:
        # Thresholds for the quantized weights, from temporary stage files.
        with tempfile.TemporaryDirectory() as folder:
            stages = exporter.export_stages(folder)
            calibration = exporter.recalibrate([s.path for s in stages])
    candidates = exporter.sample_inputs(CANDIDATES)
    chosen, indices = _samples_of_each_exit(exits, calibration, candidates)
    model = build_conditional_model(
        exits.exit_model, exits.stages, calibration.rule
    )
    report = to_litert(
        model,
        path,
        target=exporter.target,
        quantize=exporter.quantize,
        calibration_data=chosen,
        overwrite=True,
    )
    with tempfile.TemporaryDirectory() as folder:
        full = os.path.join(folder, "full.tflite")
        exporter.export_backbone(full)
        count = len(exits.exit_names)
        latency = _time_exits(path, full, chosen, indices, count)
    return exporter.report(
        path, [report], calibration, latency, indices.tolist()
    )


def _samples_of_each_exit(
    exits: CalibratedStages, calibration: ExitCalibration, inputs: Arrays
) -> tuple[Arrays, np.ndarray]:
    """Samples of every exit, those farthest from a threshold first."""
    scores = exits.exit_scores(inputs)
    thresholds = calibration.rule.thresholds
    indices = exit_indices(scores, thresholds)
    gaps = np.abs(scores - np.array(thresholds))
    # Exits after the one that a sample takes do not affect it.
    is_later = np.arange(scores.shape[1])[None] > indices[:, None]
    margins = np.where(is_later, np.inf, gaps).min(axis=1)
    chosen = np.concatenate(
        [
            _largest_margins(np.flatnonzero(indices == k), margins)
            for k in range(scores.shape[1])
        ]
    )
    samples = {name: array[chosen] for name, array in inputs.items()}
    return samples, indices[chosen]


def _largest_margins(rows: np.ndarray, margins: np.ndarray) -> np.ndarray:
    return rows[np.argsort(-margins[rows], kind="stable")][:SAMPLES_PER_EXIT]


def _time_exits(
    path: str, full_path: str, inputs: Arrays, indices: np.ndarray, count: int
) -> Latency:
    """Times each branch and the file without exits, in one loop."""
    calls: dict[int, Callable[[], None]] = {}
    for k in sorted(set(indices.tolist())):
        row = int(np.flatnonzero(indices == k)[0])
        lite = TfliteModel(path)
        sample = {n: a[row : row + 1] for n, a in inputs.items()}
        calls[k] = lite.prepare(lite.feeds(sample))
    full = TfliteModel(full_path)
    one = {n: a[:1] for n, a in inputs.items()}
    single = len(full.inputs) == 1
    calls[count] = full.prepare(
        full.feeds(next(iter(one.values())) if single else one)
    )
    medians = _thread_medians(calls)
    return tuple(medians.get(k) for k in range(count)), medians[count]


def _thread_medians(
    calls: dict[int, Callable[[], None]],
) -> dict[int, float]:
    """Median CPU milliseconds of this thread, of calls in turns."""
    times: dict[int, list[float]] = {key: [] for key in calls}
    for number in range(WARMUP + ROUNDS):
        for key, call in calls.items():
            start = time.thread_time()
            call()
            if number >= WARMUP:
                times[key].append(1e3 * (time.thread_time() - start))
    return {key: float(np.median(values)) for key, values in times.items()}
