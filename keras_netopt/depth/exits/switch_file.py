"""One LiteRT file with a branch for each exit."""

import os
import tempfile
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_netopt.cost.tflite_model import TfliteModel
from keras_netopt.depth.exits.check_files import keras_scores
from keras_netopt.depth.exits.exit_costs import ExitCosts
from keras_netopt.depth.exits.exit_state import ExitState
from keras_netopt.depth.exits.exit_switch import switch_model
from keras_netopt.depth.exits.runner import Arrays
from keras_netopt.depth.exits.stage_files import (
    example_feeds,
    recalibrated,
    time_files,
    write_full,
    write_stages,
)
from keras_netopt.depth.exits.threshold_search import leave
from keras_netopt.export.litert_export import to_litert

if TYPE_CHECKING:
    from keras_netopt.depth.exits.calibrated_exits import CalibratedExits
    from keras_netopt.depth.exits.exit_export import ExitExport

EACH = 8  # Samples of each exit on which the file is compared.
MANY = 5000  # Samples among which each branch finds some.
ROUNDS = 100
WARMUP = 5


def write_switch(
    exits: "CalibratedExits",
    path: str,
    quantize: str | None,
    calibration_data: Any,
    samples: tuple[Any, Any] | None,
) -> "ExitExport":
    """Writes calibrated exits to one file.

    Args:
        exits: The calibrated exits.
        path: Where to write, ending in `.tflite`.
        quantize: `None` or "dynamic".
        calibration_data: Real inputs, or `None`.
        samples: Calibration samples and classes, or `None`.

    Returns:
        The report.

    Raises:
        ExportError: If the file is wrong in one of its branches.
    """
    from keras_netopt.depth.exits.exit_export import ExitExport

    feeds = example_feeds(exits, calibration_data, samples)
    state = exits.state
    if quantize is not None and samples is not None:
        state = _recalibrated(exits, quantize, feeds, samples)
    wide = example_feeds(exits, calibration_data, samples, limit=MANY)
    chosen, left = _surest(exits, state, wide)
    model = switch_model(exits.exit_model, exits.stages, state.rule)
    report = to_litert(model, path, quantize=quantize, calibration_data=chosen)
    with tempfile.TemporaryDirectory() as folder:
        plain = os.path.join(folder, "full.tflite")
        write_full(exits, plain, quantize, feeds)
        by_exit, full = _time(path, plain, chosen, left, exits)
    names = exits.exit_names
    return ExitExport(
        path=path,
        reports=(report,),
        state=state,
        exit_names=names,
        latency_ms=by_exit,
        full_ms=full,
        float_accuracy=None if samples is None else exits.accuracy,
        accuracy=None if samples is None else state.point.accuracy,
        checked=len(left),
        branches=tuple(n for k, n in enumerate(names) if k in left),
    )


def _recalibrated(
    exits: "CalibratedExits",
    quantize: str,
    feeds: Arrays,
    samples: tuple[Any, Any],
) -> ExitState:
    """Thresholds for the quantized weights, by way of stage files."""
    with tempfile.TemporaryDirectory() as folder:
        reports = write_stages(exits.stages, folder, feeds, quantize)
        paths = [report.path for report in reports]
        costs = exits.state.costs
        if costs.unit == "ms":
            taken = time_files(exits, paths, quantize, feeds)
            costs = ExitCosts("ms", *taken)
        return recalibrated(exits, paths, samples, costs)


def _surest(
    exits: "CalibratedExits", state: ExitState, feeds: Arrays
) -> tuple[Arrays, np.ndarray]:
    """Samples of every exit, those first whose way is beyond doubt."""
    scores = keras_scores(exits, feeds)
    left = leave(scores, state.rule.thresholds)
    gaps = np.abs(scores - np.array(state.rule.thresholds))
    # Exits behind the one where a sample leaves do not decide its way.
    behind = np.arange(scores.shape[1])[None] > left[:, None]
    doubt = np.where(behind, np.inf, gaps).min(axis=1)
    chosen = np.concatenate(
        [
            _first(np.flatnonzero(left == k), doubt)
            for k in range(scores.shape[1])
        ]
    )
    return {name: array[chosen] for name, array in feeds.items()}, left[chosen]


def _first(places: np.ndarray, doubt: np.ndarray) -> np.ndarray:
    return places[np.argsort(-doubt[places], kind="stable")][:EACH]


def _time(
    path: str,
    plain: str,
    chosen: Arrays,
    left: np.ndarray,
    exits: "CalibratedExits",
) -> tuple[tuple[float | None, ...], float]:
    """Times each branch and the file without exits, in one loop."""
    count = len(exits.exit_names)
    calls: dict[int, Callable[[], None]] = {}
    for k in sorted(set(left.tolist())):
        place = int(np.flatnonzero(left == k)[0])
        lite = TfliteModel(path)
        sample = {n: a[place : place + 1] for n, a in chosen.items()}
        calls[k] = lite.prepare(lite.feeds(sample))
    whole = TfliteModel(plain)
    one = {n: a[:1] for n, a in chosen.items()}
    single = len(whole.inputs) == 1
    calls[count] = whole.prepare(
        whole.feeds(next(iter(one.values())) if single else one)
    )
    medians = thread_medians(calls)
    return tuple(medians.get(k) for k in range(count)), medians[count]


def thread_medians(calls: dict[int, Callable[[], None]]) -> dict[int, float]:
    """Times calls against each other in the CPU time of this thread.

    Args:
        calls: Functions without arguments.

    Returns:
        The median of each, in milliseconds.
    """
    times: dict[int, list[float]] = {key: [] for key in calls}
    for number in range(WARMUP + ROUNDS):
        for key, call in calls.items():
            start = time.thread_time()
            call()
            if number >= WARMUP:
                times[key].append(1e3 * (time.thread_time() - start))
    return {key: float(np.median(taken)) for key, taken in times.items()}
