"""Edits the model of one family and writes down what came of it, as JSON.

KERAS_BACKEND=jax python -m benchmarks.open_layers.measure Llama
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks import hub_families
from benchmarks.hub_families.wrapping import SAMPLES
from keras_netopt import cost, surgery
from keras_netopt.export import ExportError, to_litert
from keras_netopt.surgery import ChannelGraph, LayerGroup

Row = dict[str, Any]


def measure(family: str, folder: Path) -> Row:
    """Measures one family.

    Args:
        family: One of `hub_families.names()`.
        folder: Where files may be written.

    Returns:
        A row of the table; where a part raises, its error instead.
    """
    row: Row = {}
    for part in (cut, widen):
        model, x, y = compiled(family)
        moved = fitted(model, x, y)
        found = _try(part, model, x)
        row[part.__name__] = found
        if "error" not in found:
            found |= _try(kept, model, x, y, moved, folder)
        if part is cut and keras.backend.backend() == "tensorflow":
            row["litert"] = _try(exported, model, x, folder)
    if "error" in row.get("litert", {}):
        plain, x, _ = hub_families.build(family)
        before = _try(exported, plain, x, folder)
        row["litert"]["before"] = before.get("error", "exported")
    return row


def _try(call: Callable[..., Row], *arguments: Any) -> Row:
    try:
        return call(*arguments)
    except Exception as error:  # noqa: BLE001
        text = " ".join(str(error).split())
        return {"error": f"{type(error).__name__}: {text[:400]}"}


def compiled(family: str) -> tuple[keras.Model, Any, np.ndarray]:
    """A model of the family with Adam, and its data."""
    model, x, y = hub_families.build(family)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-3), loss, jit_compile=False)
    return model, x, y


def predict(model: keras.Model, x: Any) -> np.ndarray:
    """Outputs through the compiled function."""
    return np.array(model.predict(x, batch_size=SAMPLES, verbose=0))


def distance(one: np.ndarray, other: np.ndarray) -> float:
    """The largest difference, relative to the largest output."""
    largest = max(1.0, float(np.abs(one).max()))
    return float(np.abs(one - other).max()) / largest


def fitted(model: keras.Model, x: Any, y: np.ndarray) -> list[bool]:
    """Trains for one step; returns which variables moved."""
    old = [np.array(v) for v in map(_numpy, model.trainable_variables)]
    model.fit(x, y, batch_size=SAMPLES, verbose=0)
    new = map(_numpy, model.trainable_variables)
    return [bool((a != b).any()) for a, b in zip(old, new, strict=True)]


def _numpy(variable: Any) -> np.ndarray:
    return keras.ops.convert_to_numpy(variable)


def cut(model: keras.Model, x: Any) -> Row:
    """Removes half of the units of every set that may be cut exactly."""
    before = counted(model)
    start = time.perf_counter()
    graph = ChannelGraph(model)
    sets = graph.layer_groups()
    graph_seconds = time.perf_counter() - start
    row = {
        "sets": 0,
        "refused": refused(graph, sets),
        "graph_seconds": round(graph_seconds, 3),
        "params": [before[0]] * 2,
    }
    if not half(graph, sets)[0]:
        return row
    plain = predict(model, x)
    try:
        found = removed(model, graph, sets, x)
    except ValueError:
        sets, failing = possible(model, graph)
        row["refused"] += failing
        found = removed(model, graph, sets, x)
    expected, gone, seconds = found
    after = counted(model)
    return row | {
        "sets": sum(bool(np.isin(one.groups, gone).any()) for one in sets),
        "kinds": kinds(graph, sets, gone),
        "difference": distance(expected, predict(model, x)),
        "moved": float(np.abs(expected - plain).max()),
        "params": [before[0], after[0]],
        "macs": [before[1], after[1]],
        "edit_seconds": round(seconds, 3),
    }


def removed(
    model: keras.Model, graph: ChannelGraph, sets: Any, x: Any
) -> tuple[np.ndarray, np.ndarray, float]:
    """Removes half of some sets.

    Returns the outputs with these units zeroed before, the groups that were
    removed, and the seconds of the edit.
    """
    units, gone = half(graph, sets)
    weights = model.get_weights()
    zero_readers(graph, gone)
    expected = predict(model, x)
    model.set_weights(weights)
    start = time.perf_counter()
    surgery.remove(model, units)
    return expected, gone, time.perf_counter() - start


def possible(
    model: keras.Model, graph: ChannelGraph
) -> tuple[list[LayerGroup], list[list[str]]]:
    """Tries each set alone.

    Returns the sets that can be cut, and paths and reasons of the others.
    """
    sets, failing = [], []
    for one in graph.layer_groups():
        units, _ = half(graph, [one])
        if not units:
            continue
        try:
            surgery.remove(model, units, dry_run=True)
            sets.append(one)
        except ValueError as error:
            text = " ".join(str(error).split())
            failing.append([graph.path(one.layers[0]), text[:300]])
    return sets, failing


def counted(model: keras.Model) -> tuple[int, int | None]:
    """Parameters and MACs."""
    report = cost.summarize(model)
    return report.params, report.macs


def free(graph: ChannelGraph, one: LayerGroup) -> np.ndarray:
    """The groups of a set that may go without a change of the outputs."""
    found = [c for c in one.free.tolist() if c not in graph.normalized_by]
    return np.array(found, "int64")


def half(
    graph: ChannelGraph, sets: Any
) -> tuple[dict[Any, list[int]], np.ndarray]:
    """Every second unit that may go, by producer; and their groups."""
    gone = np.concatenate(
        [np.zeros(0, "int64")] + [free(graph, one)[1::2] for one in sets]
    )
    units = {}
    for key in graph.producers:
        own = np.flatnonzero(np.isin(graph.units(key), gone))
        if own.size:
            units[key] = own.tolist()
    return units, gone


def zero_readers(graph: ChannelGraph, groups: np.ndarray) -> None:
    """Zeroes every weight that reads one of these groups."""
    gone = np.zeros(graph.group_count, bool)
    gone[groups] = True
    for coupled in graph.coupled_axes:
        where = gone[graph.group_of[coupled.ids]]
        if coupled.role == "in" and where.any():
            value = np.array(_numpy(coupled.variable))
            np.moveaxis(value, coupled.axis, 0)[where] = 0.0
            coupled.variable.assign(value)


def kinds(graph: ChannelGraph, sets: Any, gone: np.ndarray) -> dict[str, int]:
    """How many sets are cut, by what their units are."""
    found: dict[str, int] = {}
    for one in sets:
        if np.isin(one.groups, gone).any():
            kind = kind_of(graph, one)
            found[kind] = found.get(kind, 0) + 1
    return found


def kind_of(graph: ChannelGraph, one: LayerGroup) -> str:
    """What the units of a set are, by its layers and their names."""
    layers = [key[0] if isinstance(key, tuple) else key for key in one.layers]
    if any("Conv" in type(layer).__name__ for layer in layers):
        return "channels"
    paths = [graph.path(layer) for layer in layers]
    words = ("attention", "attn", "mha", "query", "value", "qkv")
    if any(word in path for path in paths for word in words):
        return "heads"
    return "units"


def refused(graph: ChannelGraph, sets: Any) -> list[list[str]]:
    """Paths and reasons of what stays as it is."""
    found = []
    for one in sets:
        reason = one.reason
        if reason is None and one.normalized_by and not free(graph, one).size:
            reason = f"crosses {one.normalized_by} over the channels"
        if reason is not None:
            key = one.layers[0]
            kind = f":{key[1]}" if isinstance(key, tuple) else ""
            found.append([graph.path(key) + kind, reason])
    found += [
        [str(getattr(operation, "path", operation.name)), reason]
        for operation, reason in graph._unsupported.values()
    ]
    return found


def widen(model: keras.Model, x: Any) -> Row:
    """Gives two sets of each kind half as many units again."""
    plain = predict(model, x)
    before = counted(model)
    seconds, errors = 0.0, []
    widened: dict[str, int] = {}
    graph = ChannelGraph(model)
    for one in graph.layer_groups():
        kind_of_set = kind_of(graph, one)
        if not free(graph, one).size or widened.get(kind_of_set, 0) == 2:
            continue
        if one.not_replicable is not None:
            errors.append([graph.path(one.layers[0]), one.not_replicable])
            continue
        key = one.layers[0]
        layer, kind = key if isinstance(key, tuple) else (key, "")
        start = time.perf_counter()
        try:
            surgery.widen(model, layer, factor=1.5, kind=kind)
            widened[kind_of_set] = widened.get(kind_of_set, 0) + 1
        except ValueError as error:
            errors.append([graph.path(layer), " ".join(str(error).split())])
        seconds += time.perf_counter() - start
    return {
        "sets": sum(widened.values()),
        "kinds": widened,
        "refused": errors,
        "difference": distance(plain, predict(model, x)),
        "params": [before[0], counted(model)[0]],
        "edit_seconds": round(seconds, 3),
    }


def kept(
    model: keras.Model, x: Any, y: np.ndarray, moved: list[bool], folder: Path
) -> Row:
    """Reloads the edited model, then trains it for one step."""
    row = {"reload": _try(reloaded, model, x, folder)}
    variables = model.trainable_variables
    row["fit"] = _try(trained, model, x, y, moved)
    row["slots"] = all(
        tuple(slot.shape) == tuple(variable.shape)
        for name in ("_momentums", "_velocities")
        for variable, slot in zip(
            variables, getattr(model.optimizer, name), strict=True
        )
    )
    return row


def reloaded(model: keras.Model, x: Any, folder: Path) -> Row:
    """How far the model that Keras loads is from the one that was saved."""
    path = folder / "edited.keras"
    model.save(path)
    other = keras.saving.load_model(path)
    steps = [int(_numpy(m.optimizer.iterations)) for m in (model, other)]
    return {
        "difference": distance(predict(model, x), predict(other, x)),
        "iterations": steps[0] == steps[1],
    }


def trained(
    model: keras.Model, x: Any, y: np.ndarray, moved: list[bool]
) -> Row:
    """Which variables that moved before the edit stay where they are."""
    variables = model.trainable_variables
    now = fitted(model, x, y)
    still = [
        variable.path
        for variable, before, after in zip(variables, moved, now, strict=True)
        if before and not after
    ]
    return {"still": still, "moved": sum(now)}


def exported(model: keras.Model, x: Any, folder: Path) -> Row:
    """Writes a LiteRT file, which is compared with the model."""
    path = folder / "edited.tflite"
    try:
        to_litert(model, path, calibration_data=x)
    except ExportError as error:
        return {"error": str(error).splitlines()[0]}
    return {"bytes": path.stat().st_size}


def main() -> None:
    """Measures the family that the command line names."""
    parser = argparse.ArgumentParser()
    parser.add_argument("family")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        row = measure(arguments.family, Path(folder))
    print(json.dumps(row))


if __name__ == "__main__":
    main()
