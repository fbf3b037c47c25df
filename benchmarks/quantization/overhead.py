"""What a step on the grid costs, on the backend of `KERAS_BACKEND`.

Run with `python -m benchmarks.quantization.overhead`. All arms live in one
process and take turns in a new random order every round; tables show medians
of the paired ratios to plain `fit` of the same round. The arm "plain again"
is a second plain model: it shows the noise.
"""

import argparse
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from benchmarks.pruning import models
from benchmarks.records import Records
from benchmarks.turns import take_turns

STEPS = 100
ROUNDS = 15
BITS = (8, 4, 3, 2)
SETTINGS = {"batch": models.BATCH, "steps": STEPS, "rounds": ROUNDS}

Fit = Callable[[], Any]


def main() -> None:
    """Measures every missing network."""
    options = _parse()
    name = f"quantization_overhead_{keras.backend.backend()}"
    records = Records(name, SETTINGS, fresh=options.fresh)
    for kind in options.models:
        if records.find(model=kind) is None:
            for row in _measure(kind):
                records.add({"model": kind, **row})


def _measure(kind: str) -> list[dict[str, Any]]:
    (x, y), _ = models.load_data(kind)
    x, y = (array[: STEPS * models.BATCH] for array in (x, y))
    fits = _keras_arms(kind, x, y)
    if keras.backend.backend() == "tensorflow" and kind == "mlp":
        fits.update(_tfmot_arms(kind, x, y))
    for fit in fits.values():
        fit()
    return list(take_turns(fits, ROUNDS))


def _keras_arms(kind: str, x: np.ndarray, y: np.ndarray) -> dict[str, Fit]:
    from keras_netopt.callbacks import Pruning, Quantization

    used: dict[str, list[Any]] = {"plain": [], "plain again": []}
    for bits in BITS:
        used[f"{bits} bits"] = [Quantization(bits)]
    used["Pruning(0.9)"] = [Pruning(0.9)]
    used["Pruning(0.9), 4 bits"] = [Pruning(0.9), Quantization(4)]
    return {
        name: _fitter(models.build(kind, keras), x, y, callbacks)
        for name, callbacks in used.items()
    }


def _tfmot_arms(kind: str, x: np.ndarray, y: np.ndarray) -> dict[str, Fit]:
    import tensorflow_model_optimization as tfmot
    import tf_keras

    wrapped = tfmot.quantization.keras.quantize_model(
        models.build(kind, tf_keras)
    )
    models.compile_model(wrapped, tf_keras)
    return {
        "tf_keras plain": _fitter(models.build(kind, tf_keras), x, y, []),
        "tfmot QAT": _fitter(wrapped, x, y, []),
    }


def _fitter(model: Any, x: np.ndarray, y: np.ndarray, used: list[Any]) -> Fit:
    return lambda: model.fit(
        x, y, batch_size=models.BATCH, epochs=1, verbose=0, callbacks=used
    )


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--models", nargs="+", default=list(models.WIDTHS))
    return parser.parse_args()


if __name__ == "__main__":
    main()
