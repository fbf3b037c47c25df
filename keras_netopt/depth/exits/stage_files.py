"""One LiteRT file a stage, thresholds, and a runner for the device."""

import contextlib
import dataclasses
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_netopt.cost.measure_latency import measure_latency
from keras_netopt.cost.tflite_model import TfliteModel
from keras_netopt.depth.exits import device_runner
from keras_netopt.depth.exits.check_files import check_decisions
from keras_netopt.depth.exits.choose_thresholds import choose_thresholds
from keras_netopt.depth.exits.exit_costs import FULL, ExitCosts
from keras_netopt.depth.exits.exit_state import ExitState
from keras_netopt.depth.exits.measured_exits import MeasuredExits
from keras_netopt.depth.exits.runner import Arrays
from keras_netopt.depth.exits.stages import LOGITS, ModelStages
from keras_netopt.export.litert_export import to_litert
from keras_netopt.export.litert_report import LitertReport

if TYPE_CHECKING:
    from keras_netopt.depth.exits.calibrated_exits import CalibratedExits
    from keras_netopt.depth.exits.exit_export import ExitExport

THRESHOLDS, RUNNER = "thresholds.json", "runner.py"
CHECKED = 200  # Samples on which decisions are compared.
VERIFIED = 64  # Samples for each file's own verification.
CALIBRATED = 256  # Samples whose ranges full integers are made for.
ROUNDS = 100
BATCH = 32


def write_folder(
    exits: "CalibratedExits",
    folder: str,
    quantize: str | None,
    calibration_data: Any,
    samples: tuple[Any, Any] | None,
) -> "ExitExport":
    """Writes the stages of calibrated exits to a folder.

    Args:
        exits: The calibrated exits.
        folder: Where to write; made where it is missing.
        quantize: How numbers are stored.
        calibration_data: Real inputs, or `None`.
        samples: Calibration samples and classes, or `None`.

    Returns:
        The report.

    Raises:
        ExportError: If a file is wrong, or decides otherwise than Keras.
    """
    from keras_netopt.depth.exits.exit_export import ExitExport

    feeds = example_feeds(exits, calibration_data, samples)
    with _beside(folder) as scratch:
        reports = write_stages(exits.stages, scratch, feeds, quantize)
        paths = [report.path for report in reports]
        by_exit, full = time_files(exits, paths, quantize, feeds)
        state = exits.state
        if quantize is not None and samples is not None:
            costs = state.costs
            if costs.unit == "ms":
                costs = ExitCosts("ms", by_exit, full)
            state = recalibrated(exits, paths, samples, costs)
        _write_settings(exits, state, scratch, reports)
        shutil.copyfile(device_runner.__file__, os.path.join(scratch, RUNNER))
        some = {name: array[:CHECKED] for name, array in feeds.items()}
        left = check_decisions(
            exits, state, scratch, some, exact=quantize is None
        )
        accuracy = None
        if samples is not None:
            accuracy = state.point.accuracy
        _move(scratch, folder)
    names = exits.exit_names
    moved = tuple(_moved(report, folder) for report in reports)
    return ExitExport(
        path=folder,
        reports=moved,
        state=state,
        exit_names=names,
        latency_ms=by_exit,
        full_ms=full,
        float_accuracy=None if samples is None else exits.accuracy,
        accuracy=accuracy,
        checked=len(left),
        branches=tuple(n for k, n in enumerate(names) if k in left),
    )


def example_feeds(
    exits: "CalibratedExits",
    data: Any,
    samples: tuple[Any, Any] | None,
    *,
    limit: int = CALIBRATED,
) -> Arrays:
    """Returns inputs by name to run files with.

    Args:
        exits: The calibrated exits.
        data: What the user gave, or `None`.
        samples: Calibration samples and classes, or `None`.
        limit: Number of samples at most. Defaults to `CALIBRATED`.

    Returns:
        The samples; random ones where there is nothing.
    """
    import keras

    if data is None and samples is not None:
        data = samples[0]
    tensors = keras.tree.flatten(exits.exit_model.input)
    if data is None:
        rng = np.random.default_rng(0)
        data = [rng.random((VERIFIED, *t.shape[1:])) for t in tensors]
    feeds = exits.stages.feeds(data)
    return {
        name: np.asarray(value)[:limit].astype(tensor.dtype)
        for (name, value), tensor in zip(feeds.items(), tensors, strict=True)
    }


def write_stages(
    stages: ModelStages, folder: str, feeds: Arrays, quantize: str | None
) -> list[LitertReport]:
    """Writes a verified file for each stage.

    What a stage is calibrated on is what the files before it really make.

    Args:
        stages: The stages.
        folder: Where to write.
        feeds: Inputs by name.
        quantize: How numbers are stored.

    Returns:
        One report a stage.
    """
    reports = []
    held = dict(feeds)
    count = CALIBRATED if quantize in ("int8", "int16x8") else VERIFIED
    for number, stage in enumerate(stages.stages):
        path = os.path.join(folder, f"stage_{number}.tflite")
        reads = {name: held[name] for name in stage.inputs}
        reports.append(
            to_litert(
                stage.model,
                path,
                quantize=quantize,
                calibration_data={n: a[:count] for n, a in reads.items()},
            )
        )
        held.update(run_file(TfliteModel(path), reads))
    return reports


def run_file(lite: TfliteModel, feeds: Arrays) -> Arrays:
    """Runs a file on all samples.

    Args:
        lite: The file.
        feeds: Inputs by name.

    Returns:
        Outputs by name.
    """
    count = len(next(iter(feeds.values())))
    batch = next(iter(lite.inputs.values())).shape[0] or BATCH
    whole = count - count % batch
    starts = [*range(0, whole, batch)]
    parts = [
        lite.run({n: a[s : s + batch] for n, a in feeds.items()})
        for s in starts
    ]
    if whole < count:
        parts.append(lite.run({n: a[whole:] for n, a in feeds.items()}))
    return {n: np.concatenate([p[n] for p in parts]) for n in parts[0]}


def recalibrated(
    exits: "CalibratedExits",
    paths: list[str],
    samples: tuple[Any, Any],
    costs: ExitCosts,
) -> ExitState:
    """Finds thresholds again, on the answers of files.

    Args:
        exits: The calibrated exits.
        paths: One file a stage.
        samples: Samples and classes, held out.
        costs: What a sample costs by exit.

    Returns:
        The thresholds for the files, for the same goal.
    """
    held = {n: np.asarray(a) for n, a in exits.stages.feeds(samples[0]).items()}
    answers = []
    for stage, path in zip(exits.stages.stages, paths, strict=True):
        made = run_file(TfliteModel(path), {n: held[n] for n in stage.inputs})
        answers.append(made.pop(LOGITS))
        known = {**held, **made}
        held = {name: known[name] for name in stage.live}
    measured = MeasuredExits.of(answers, samples[1], exits.criterion)
    note = "thresholds found again on the answers of the files"
    return choose_thresholds(
        measured,
        costs,
        exits.state.goal,
        exits.criterion,
        (*exits.state.notes, note),
    )


def time_files(
    exits: "CalibratedExits",
    paths: list[str],
    quantize: str | None,
    feeds: Arrays,
) -> tuple[tuple[float, ...], float]:
    """Times the stages and the model without exits in one loop.

    Args:
        exits: The calibrated exits.
        paths: One file a stage.
        quantize: How numbers are stored.
        feeds: Inputs by name.

    Returns:
        Cumulative milliseconds by exit, and those without exits.
    """
    with tempfile.TemporaryDirectory() as folder:
        plain = os.path.join(folder, "full.tflite")
        write_full(exits, plain, quantize, feeds)
        files = dict(zip(exits.exit_names, paths, strict=True))
        report = measure_latency({**files, FULL: plain}, rounds=ROUNDS)
    taken = [report[name].median for name in exits.exit_names]
    by_exit = tuple(float(total) for total in np.cumsum(taken))
    return by_exit, report[FULL].median


def write_full(
    exits: "CalibratedExits", path: str, quantize: str | None, feeds: Arrays
) -> LitertReport:
    """Writes the model without exits, to compare with.

    Args:
        exits: The calibrated exits.
        path: Where to write.
        quantize: How numbers are stored.
        feeds: Inputs by name.

    Returns:
        The report.
    """
    count = CALIBRATED if quantize in ("int8", "int16x8") else VERIFIED
    some = {name: array[:count] for name, array in feeds.items()}
    packed = exits.stages.pack(some, exits.exit_model.input)
    return to_litert(
        exits.exit_model.backbone(),
        path,
        quantize=quantize,
        calibration_data=packed,
    )


def _write_settings(
    exits: "CalibratedExits",
    state: ExitState,
    folder: str,
    reports: list[LitertReport],
) -> None:
    content = {**exits.to_dict(), **state.to_dict()}
    content["inputs"] = list(exits.stages.inputs)
    for row, report, stage in zip(
        content["stages"], reports, exits.stages.stages, strict=True
    ):
        with open(report.path, "rb") as file:
            digest = hashlib.sha256(file.read()).hexdigest()
        row.update(
            name=stage.name,
            file=os.path.basename(report.path),
            sha256=digest,
            bytes=report.size.raw,
            inputs=list(stage.inputs),
            outputs=[*stage.features, LOGITS],
        )
    with open(os.path.join(folder, THRESHOLDS), "w", encoding="utf-8") as file:
        json.dump(content, file, indent=2)


@contextlib.contextmanager
def _beside(folder: str) -> Iterator[str]:
    """A folder on the same disk that does not outlive the block."""
    parent = os.path.dirname(os.path.abspath(folder))
    if not os.path.isdir(parent):
        raise FileNotFoundError(f"No such folder: {parent!r}")
    with tempfile.TemporaryDirectory(dir=parent, prefix=".exits-") as scratch:
        yield scratch


def _move(scratch: str, folder: str) -> None:
    os.makedirs(folder, exist_ok=True)
    for name in sorted(os.listdir(scratch)):
        os.replace(os.path.join(scratch, name), os.path.join(folder, name))


def _moved(report: LitertReport, folder: str) -> LitertReport:
    path = os.path.join(folder, os.path.basename(report.path))
    return dataclasses.replace(report, path=path)
