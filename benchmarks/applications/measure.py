"""Cuts one model in half and writes down what came of it, as JSON.

KERAS_BACKEND=tensorflow python -m benchmarks.applications.measure NAME

With `--float64` only the difference, without the rounding of float32.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks.applications import models
from keras_netopt import cost, surgery
from keras_netopt.export import ExportError, to_litert
from keras_netopt.surgery import ChannelGraph

Arrays = list[np.ndarray]


def measure(name: str, folder: Path) -> dict[str, Any]:
    """Measures one model.

    Args:
        name: One of `models.names()`.
        folder: Where files may be written.

    Returns:
        A row of the table.
    """
    model, x = prepared(name)
    before = cost.summarize(model)
    start = time.perf_counter()
    graph = ChannelGraph(model)
    sets = graph.layer_groups()
    graph_seconds = time.perf_counter() - start
    units, groups = half(graph)
    plain = models.predict(model, x)
    zero_readers(graph, groups)
    moved = distance(models.predict(model, x), plain)
    models.calibrate(model, x)
    expected = models.predict(model, x)
    files = [litert(model, folder / "before.tflite", x)]
    start = time.perf_counter()
    surgery.remove(model, units)
    cut_seconds = time.perf_counter() - start
    after = cost.summarize(model)
    cut = models.predict(model, x)
    files.append(litert(model, folder / "after.tflite", x))
    largest = max(float(np.abs(y).max()) for y in expected)
    return {
        "model": name,
        "input": list(model.inputs[0].shape[1:]),
        "sets": len(sets),
        "prunable": sum(
            s.reason is None and s.normalized_by is None for s in sets
        ),
        "refused": refused(graph),
        "params": [before.params, after.params],
        "macs": [before.macs, after.macs],
        "difference": distance(cut, expected),
        "largest": largest,
        "spread": min(float(y.std(axis=0).mean()) for y in expected),
        "moved": moved,
        "rebuilt": rebuilt(model, x, cut, folder),
        "step": training_step(model, x),
        "latency": latency(files),
        "graph_seconds": round(graph_seconds, 3),
        "cut_seconds": round(cut_seconds, 2),
    }


def measure_float64(name: str) -> dict[str, float]:
    """Measures how exact the cut is where rounding hardly counts."""
    keras.config.set_floatx("float64")
    model, x = prepared(name)
    graph = ChannelGraph(model)
    units, groups = half(graph)
    zero_readers(graph, groups)
    models.calibrate(model, x)
    expected = models.predict(model, x)
    surgery.remove(model, units)
    found = distance(models.predict(model, x), expected)
    return {"difference_float64": found}


def prepared(name: str) -> tuple[keras.Model, np.ndarray]:
    """Builds a model in which every channel matters, and samples for it."""
    model = models.build(name)
    x = models.samples(model)
    models.randomize(model)
    models.calibrate(model, x)
    return model, x


def half(graph: ChannelGraph) -> tuple[dict[Any, list[int]], list[int]]:
    """Every second unit that may go exactly, by layer; and their groups."""
    units: dict[Any, list[int]] = {}
    groups: list[int] = []
    for layers in graph.layer_groups():
        free = [c for c in layers.free.tolist() if c not in graph.normalized_by]
        gone = free[1::2]
        groups += gone
        for layer in layers.layers:
            own = np.flatnonzero(np.isin(graph.units(layer), gone))
            if len(own):
                units[layer] = own.tolist()
    return units, groups


def zero_readers(graph: ChannelGraph, groups: list[int]) -> None:
    """Zeroes every weight that reads one of these groups."""
    gone = np.zeros(graph.group_count, bool)
    gone[groups] = True
    for coupled_axis in graph.coupled_axes:
        where = gone[graph.group_of[coupled_axis.ids]]
        if coupled_axis.role == "in" and where.any():
            value = keras.ops.convert_to_numpy(coupled_axis.variable).copy()
            np.moveaxis(value, coupled_axis.axis, 0)[where] = 0.0
            coupled_axis.variable.assign(value)


def refused(graph: ChannelGraph) -> list[list[Any]]:
    """How many sets of layers stay as they are, by reason."""
    counts: dict[str, int] = {}
    for layers in graph.layer_groups():
        reason = layers.reason
        if reason is None and layers.normalized_by is not None:
            kind = layers.normalized_by.split(" ")[0]
            reason = f"crosses {kind} over the channels"
        if reason is not None:
            counts[reason] = counts.get(reason, 0) + 1
    return [[reason, count] for reason, count in counts.items()]


def distance(ones: Arrays, others: Arrays) -> float:
    """The largest difference between two lists of outputs."""
    pairs = zip(ones, others, strict=True)
    return max(float(np.abs(a - b).max()) for a, b in pairs)


def rebuilt(
    model: keras.Model, x: np.ndarray, expected: Arrays, folder: Path
) -> float:
    """How far the saved and reloaded model and a clone are from it."""
    path = str(folder / "cut.keras")
    model.save(path)
    reloaded = keras.saving.load_model(path)
    found = distance(models.predict(reloaded, x), expected)
    del reloaded
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    return max(found, distance(models.predict(clone, x), expected))


def training_step(model: keras.Model, x: np.ndarray) -> bool:
    """Whether a training step has a finite loss and moves the weights."""
    targets = [np.zeros(y.shape, "float32") for y in models.predict(model, x)]
    model.compile(
        keras.optimizers.SGD(1e-3),
        ["mse"] * len(targets),
        run_eagerly=True,
    )
    kernel = next(w for w in model.trainable_variables if len(w.shape) > 1)
    old = np.array(keras.ops.convert_to_numpy(kernel))
    loss = model.train_on_batch(x, targets if targets[1:] else targets[0])
    new = keras.ops.convert_to_numpy(kernel)
    return bool(np.all(np.isfinite(loss)) and np.abs(new - old).max() > 0)


def litert(model: keras.Model, path: Path, x: np.ndarray) -> Path | str:
    """Writes a LiteRT file; returns the reason where that cannot be."""
    try:
        to_litert(model, path, calibration_data=x)
    except ExportError as error:
        return str(error).splitlines()[0]
    return path


def latency(files: list[Path | str]) -> dict[str, Any]:
    """Milliseconds before and after, measured in one loop."""
    reasons = [one for one in files if isinstance(one, str)]
    if reasons:
        return {"reason": reasons[0]}
    paths = {"before": files[0], "after": files[1]}
    report = cost.measure_latency(paths)
    return {name: report[name].median for name in paths}


def main() -> None:
    """Measures the model that the command line names."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("--float64", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.float64:
            row = measure_float64(arguments.name)
        else:
            row = measure(arguments.name, Path(folder))
    print(json.dumps(row))


if __name__ == "__main__":
    main()
