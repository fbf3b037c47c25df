"""What sparse training costs, on the backend of `KERAS_BACKEND`.

Run with `python -m benchmarks.sparse_training.cost`. "steady" times fits in
which no mask changes: the price of masks in each step. All arms of a network
live in one process, on one thread, and take turns in a new random order every
round; tables show medians of the ratios to plain `fit` of the same round. The
arm "plain again" shows the noise. "update" times single mask updates of a
network of 10 million weights, each method in a process of its own.
"""

import argparse
from typing import Any

import keras

from benchmarks.processes import measure_part
from benchmarks.records import Records
from benchmarks.sparse_training import nets, update_cost
from benchmarks.turns import Fit, take_turns
from keras_netopt import callbacks

NAME = "sparse_training_cost"
SPARSITY = 0.9
STEPS = 100
ROUNDS = 21
SETTINGS = {
    "sparsity": SPARSITY,
    "batch": nets.BATCH,
    "optimizer": "Adam 1e-3",
    "steps": STEPS,
    "rounds": ROUNDS,
    "update_widths": update_cost.WIDTHS,
    "threads": 1,
}
ARMS = {
    "plain": None,
    "plain again": None,
    "empty callback": lambda: Empty(),
    "masks": lambda: callbacks.SparseTraining(SPARSITY, regrow=None),
    "pruning": lambda: callbacks.Pruning(SPARSITY),
    "static": lambda: callbacks.SparseTraining(SPARSITY, regrow=None),
    "set": lambda: callbacks.SparseTraining(SPARSITY, regrow="random"),
    "rigl": lambda: callbacks.SparseTraining(SPARSITY, regrow="gradient"),
}


def main() -> None:
    """Measures every missing part."""
    options = _parse()
    backend = keras.backend.backend()
    name = f"{NAME}_{backend}"
    records = Records(name, SETTINGS, fresh=options.fresh)
    for method in update_cost.METHODS:
        if not options.steady and not records.find(part="update", arm=method):
            row = measure_part(
                "benchmarks.sparse_training.update_cost",
                backend,
                [method],
                MALLOC_MMAP_THRESHOLD_="65536",
                MALLOC_TOP_PAD_="0",
            )
            print(method, row, flush=True)
            records.add({"part": "update", "arm": method, **row})
    for kind in options.models:
        if options.dry or records.find(part="steady", model=kind) is None:
            rows = _steady(kind, options.rounds)
            print(kind, backend, _show(rows), flush=True)
            for row in () if options.dry else rows:
                records.add({"part": "steady", "model": kind, **row})


def _steady(kind: str, rounds: int) -> list[dict[str, Any]]:
    setting = nets.Setting(kind, "adam", "raw")
    (x, y), _ = nets.Nets().load(setting)
    x, y = x[: STEPS * nets.BATCH], y[: STEPS * nets.BATCH]
    fits = {name: _warm(setting, name, x, y) for name in ARMS}
    return list(take_turns(fits, rounds))


def _warm(setting: nets.Setting, name: str, x: Any, y: Any) -> Fit:
    """Returns a function that trains a network whose masks are final."""
    model = nets.Nets().get(setting, 0, name)
    make = ARMS[name]
    used = [] if make is None else [make()]

    def fit() -> None:
        model.fit(
            x,
            y,
            batch_size=nets.BATCH,
            shuffle=False,
            verbose=0,
            callbacks=list(used),
        )

    fit()
    if name == "masks":  # They stay without the callback.
        used.clear()
    fit()
    return fit


class Empty(keras.callbacks.Callback):
    """Keeps Keras from running ahead of its callbacks, as ours do."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Called by Keras."""


def _show(rows: list[dict[str, Any]]) -> str:
    from benchmarks.pruning.tables import paired

    names = dict.fromkeys(row["arm"] for row in rows)
    return ", ".join(
        f"{name} {paired(rows, name, 'wall')[0]:.3f}/"
        f"{paired(rows, name, 'cpu')[0]:.3f}"
        for name in names
    )


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--steady", action="store_true", help="no updates")
    parser.add_argument("--dry", action="store_true", help="write nothing")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--models", nargs="*", default=list(nets.WIDTHS))
    return parser.parse_args()


if __name__ == "__main__":
    main()
