"""One edit of a large network, in a process of its own.

`python -m benchmarks.scale.surgery_case prune_channels deep adam 50` prints
its memory and time as JSON. The same edit of a small network comes first, so
that code that is loaded or compiled once does not count.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from benchmarks.scale import nets
from benchmarks.scale.peak_memory import (
    PeakMemory,
    slot_bytes,
    weight_bytes,
)
from keras_netopt import callbacks, surgery

SPARSITY = 0.5
FACTOR = 1.25
LAYER = "hidden_1"
ALL = {"wide": 4, "deep": 12, "conv": 20}
BATCH = 8
SMALL = 0.02


def main() -> None:
    """Prints the row of one case."""
    operation, kind, optimizer, millions = sys.argv[1:]
    for size in (SMALL, float(millions)):
        row = CASES[operation](kind, optimizer, size)
    print(json.dumps(row))


def _edit(edit: Callable[[keras.Model, str], Any]) -> Any:
    """Makes a case of a function that edits a model outside of `fit`."""

    def measure(kind: str, optimizer: str, millions: float) -> dict[str, Any]:
        model = _compiled(kind, optimizer, millions)
        row = _sizes(model)
        wall, cpu = time.perf_counter(), time.process_time()
        with PeakMemory() as memory:
            edit(model, kind)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        return row | _result(model, [memory], wall, cpu)

    return measure


def _prune(model: keras.Model, kind: str) -> None:
    surgery.prune_channels(model, SPARSITY)


def _prune_dry(model: keras.Model, kind: str) -> None:
    surgery.prune_channels(model, SPARSITY, dry_run=True)


def _widen(model: keras.Model, kind: str) -> None:
    surgery.widen(model, LAYER, factor=FACTOR)


def _net2net(model: keras.Model, kind: str) -> None:
    surgery.widen(model, LAYER, factor=FACTOR, new_units="net2net")


def _growing(kind: str, optimizer: str, millions: float) -> dict[str, Any]:
    """Measures the hooks of `Growing`: rehearsal and growth of all layers."""
    model = _compiled(kind, optimizer, millions)
    row = _sizes(model)
    actions = [
        surgery.Widen(f"hidden_{k}", factor=FACTOR) for k in range(ALL[kind])
    ]
    growing = callbacks.Growing(
        actions, {"1ep": list(range(len(actions)))}, end=1.0, verbose=0
    )
    parts: list[PeakMemory] = []
    _watch(growing, "on_train_begin", parts)
    _watch(growing, "on_epoch_begin", parts)
    wall, cpu = time.perf_counter(), time.process_time()
    _fit(model, kind, [growing])
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return row | _result(model, parts, wall, cpu)


def _plain_fit(kind: str, optimizer: str, millions: float) -> dict[str, Any]:
    """Measures `fit` without a callback, a control."""
    model = _compiled(kind, optimizer, millions)
    row = _sizes(model)
    wall, cpu = time.perf_counter(), time.process_time()
    with PeakMemory() as memory:
        _fit(model, kind, [])
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return row | _result(model, [memory], wall, cpu)


CASES = {
    "prune_channels": _edit(_prune),
    "prune_dry": _edit(_prune_dry),
    "widen": _edit(_widen),
    "net2net": _edit(_net2net),
    "growing": _growing,
    "plain_fit": _plain_fit,
}


def _compiled(kind: str, optimizer: str, millions: float) -> keras.Model:
    model = nets.build(kind, millions)
    if optimizer != "none":
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer, loss)
        model.optimizer.build(model.trainable_variables)
    return model


def _fit(model: keras.Model, kind: str, used: list[Any]) -> None:
    rng = np.random.default_rng(0)
    shape = (2 * BATCH, *nets.input_shape(kind))
    x = rng.normal(size=shape).astype("float32")
    y = rng.integers(0, 10, 2 * BATCH)
    model.fit(
        x,
        y,
        batch_size=BATCH,
        epochs=2,
        shuffle=False,
        verbose=0,
        callbacks=used,
    )


def _watch(callback: Any, name: str, parts: list[PeakMemory]) -> None:
    original = getattr(callback, name)

    def measured(*args: Any, **kwargs: Any) -> None:
        with PeakMemory() as memory:
            original(*args, **kwargs)
        parts.append(memory)

    setattr(callback, name, measured)


def _sizes(model: keras.Model) -> dict[str, Any]:
    return {"weights": model.count_params(), "model_bytes": weight_bytes(model)}


def _result(
    model: keras.Model, parts: list[PeakMemory], wall: float, cpu: float
) -> dict[str, Any]:
    is_compiled = getattr(model, "optimizer", None) is not None
    return {
        "new_bytes": weight_bytes(model),
        "slot_bytes": slot_bytes(model) if is_compiled else 0,
        "peak": max(part.peak for part in parts),
        "kept": parts[-1].kept,
        "resident": max(part.baseline + part.peak for part in parts),
        "wall": round(wall, 3),
        "cpu": round(cpu, 3),
    }


if __name__ == "__main__":
    main()
