"""What pruning costs in time, on the backend of `KERAS_BACKEND`.

Run with `python -m benchmarks.pruning.overhead`. All arms of a measurement
live in one process and take turns in a new random order every round; tables
show medians of the paired ratios to plain `fit` of the same round. The arm
"plain again" is a second plain model: it shows the noise.
"""

import argparse
import gc
import random
import time
import warnings
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from benchmarks.pruning import models
from benchmarks.records import Records

SPARSITY = 0.9
STEPS = 100
ROUNDS = 21
FIRST_EPOCH_STEPS = 469
FIRST_EPOCH_ROUNDS = 7
LONG = 10
LARGE = 2236
SETTINGS = {
    "sparsity": SPARSITY,
    "batch": models.BATCH,
    "steps": STEPS,
    "rounds": ROUNDS,
    "first_epoch_steps": FIRST_EPOCH_STEPS,
    "first_epoch_rounds": FIRST_EPOCH_ROUNDS,
    "update_weights": LARGE * LARGE,
}

Fit = Callable[[], None]


def main() -> None:
    """Measures every missing part."""
    options = _parse()
    name = f"pruning_overhead_{keras.backend.backend()}"
    records = Records(name, SETTINGS, fresh=options.fresh)
    if records.find(part="update") is None:
        for row in _update_time():
            records.add({"model": "dense", "part": "update", **row})
    parts = {"steady": _steady, "first epoch": _first_epoch}
    for kind in options.models:
        for part, measure in parts.items():
            if records.find(model=kind, part=part) is None:
                rows = measure(kind)
                for row in rows:
                    records.add({"model": kind, "part": part, **row})
                print(f"{kind} {part}: {_medians(rows)}", flush=True)


def _steady(kind: str) -> list[dict[str, Any]]:
    """Times fits of warm models, masks at their target."""
    x, y = _samples(kind, STEPS)
    arms = _warm_keras(kind, x, y)
    if keras.backend.backend() == "tensorflow":
        arms.update(_warm_tfmot(kind, x, y))
    for fit in arms.values():
        fit()
    return _take_turns(lambda: arms, ROUNDS)


def _warm_keras(kind: str, x: np.ndarray, y: np.ndarray) -> dict[str, Fit]:
    from keras_netopt import sparsity
    from keras_netopt.callbacks import Pruning

    nets = {}
    for name in ("plain", "plain again", "pruning", "masks", "stripped"):
        nets[name] = models.build(kind, keras)
    callback = Pruning(SPARSITY)
    _fit(nets["pruning"], x, y, [callback])
    for name in ("masks", "stripped"):
        _fit(nets[name], x, y, [Pruning(SPARSITY)])
    sparsity.remove_masks(nets["stripped"])
    used = {"pruning": [callback]}
    return {
        name: _fitter(net, x, y, used.get(name, []))
        for name, net in nets.items()
    }


def _warm_tfmot(kind: str, x: np.ndarray, y: np.ndarray) -> dict[str, Fit]:
    import tf_keras

    plain = models.build(kind, tf_keras)
    wrapped, update = _wrap_tfmot(models.build(kind, tf_keras), STEPS)
    _fit(wrapped, x, y, [update])
    return {
        "tf_keras plain": _fitter(plain, x, y, []),
        "tfmot": _fitter(wrapped, x, y, [update]),
    }


def _wrap_tfmot(model: Any, steps: int) -> tuple[Any, Any]:
    import tensorflow_model_optimization as tfmot
    import tf_keras

    sparsity = tfmot.sparsity.keras
    schedule = sparsity.PolynomialDecay(
        initial_sparsity=0.0,
        final_sparsity=SPARSITY,
        begin_step=0,
        end_step=steps // 2,
        frequency=max(1, steps // 10),
    )
    wrapped = sparsity.prune_low_magnitude(model, pruning_schedule=schedule)
    models.compile_model(wrapped, tf_keras)
    return wrapped, sparsity.UpdatePruningStep()


def _first_epoch(kind: str) -> list[dict[str, Any]]:
    """Times the first epoch of fresh models: tracing, compiling, updates."""
    x, y = _samples(kind, FIRST_EPOCH_STEPS)
    _fresh_keras(kind, x, y)["plain"]()
    if keras.backend.backend() == "tensorflow":
        import tensorflow_model_optimization as _  # noqa: F401

        _fresh_tfmot(kind, x, y)["tf_keras plain"]()

    def prepare() -> dict[str, Fit]:
        keras.backend.clear_session()
        gc.collect()
        arms = _fresh_keras(kind, x, y)
        if keras.backend.backend() == "tensorflow":
            arms.update(_fresh_tfmot(kind, x, y))
        return arms

    return _take_turns(prepare, FIRST_EPOCH_ROUNDS)


def _fresh_keras(kind: str, x: np.ndarray, y: np.ndarray) -> dict[str, Fit]:
    from keras_netopt.callbacks import Pruning

    arms = {
        name: _fitter(models.build(kind, keras), x, y, [])
        for name in ("plain", "plain again")
    }
    pruned = models.build(kind, keras)
    arms["pruning"] = _fitter(pruned, x, y, [Pruning(SPARSITY)])
    longer = models.build(kind, keras)

    def run() -> None:
        used = [Pruning(SPARSITY), _StopAfterOne()]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _fit(longer, x, y, used, epochs=LONG)

    arms[f"pruning, 1 of {LONG}"] = run
    return arms


class _StopAfterOne(keras.callbacks.Callback):
    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.model.stop_training = True


def _fresh_tfmot(kind: str, x: np.ndarray, y: np.ndarray) -> dict[str, Fit]:
    import tf_keras

    model = models.build(kind, tf_keras)

    def run() -> None:
        wrapped, update = _wrap_tfmot(model, FIRST_EPOCH_STEPS)
        _fit(wrapped, x, y, [update])

    plain = models.build(kind, tf_keras)
    return {"tf_keras plain": _fitter(plain, x, y, []), "tfmot": run}


def _update_time() -> list[dict[str, Any]]:
    """Times single mask updates of one large kernel."""
    from keras_netopt.callbacks import Pruning

    class Stopwatch(Pruning):
        """Notes how long `on_steps` takes where it changes the masks."""

        def reset(self) -> None:
            super().reset()
            self.times: list[tuple[float, float]] = []

        def on_steps(self, before: int, after: int) -> None:
            share = self._session.share
            wall, cpu = time.perf_counter(), time.process_time()
            super().on_steps(before, after)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            if self._session.share > share:
                self.times.append((wall, cpu))

    model = keras.Sequential(
        [keras.Input((LARGE,)), keras.layers.Dense(LARGE, use_bias=False)]
    )
    model.compile("adam", "mse")
    x = np.random.default_rng(0).normal(size=(60, LARGE)).astype("float32")
    watch = Stopwatch(SPARSITY, frequency=5)
    model.fit(x, x, batch_size=1, verbose=0, callbacks=[watch])
    return [
        {"arm": "update", "round": i, "wall": wall, "cpu": cpu}
        for i, (wall, cpu) in enumerate(watch.times)
    ]


def _take_turns(
    prepare: Callable[[], dict[str, Fit]], rounds: int
) -> list[dict[str, Any]]:
    rows, order = [], random.Random(0)
    for turn in range(rounds):
        arms = list(prepare().items())
        order.shuffle(arms)
        gc.collect()
        for name, fit in arms:
            wall, cpu = time.perf_counter(), time.process_time()
            fit()
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            rows.append(
                {
                    "arm": name,
                    "round": turn,
                    "wall": round(wall, 5),
                    "cpu": round(cpu, 5),
                }
            )
    return rows


def _fitter(model: Any, x: np.ndarray, y: np.ndarray, used: list[Any]) -> Fit:
    return lambda: _fit(model, x, y, used)


def _fit(
    model: Any, x: np.ndarray, y: np.ndarray, used: list[Any], epochs: int = 1
) -> None:
    model.fit(
        x,
        y,
        batch_size=models.BATCH,
        epochs=epochs,
        verbose=0,
        callbacks=list(used),
    )


def _samples(kind: str, steps: int) -> tuple[np.ndarray, np.ndarray]:
    (x, y), _ = models.load_data(kind)
    count = min(len(x), steps * models.BATCH)
    return x[:count], y[:count]


def _medians(rows: list[dict[str, Any]]) -> str:
    from benchmarks.pruning.tables import paired

    names = dict.fromkeys(row["arm"] for row in rows)
    shown = []
    for name in names:
        wall, cpu = (paired(rows, name, clock)[0] for clock in ("wall", "cpu"))
        shown.append(f"{name} {wall:.3f}/{cpu:.3f}")
    return ", ".join(shown)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--models", nargs="+", default=list(models.WIDTHS))
    return parser.parse_args()


if __name__ == "__main__":
    main()
