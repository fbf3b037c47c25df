"""What each callback adds to a step, on the backend of `KERAS_BACKEND`.

Run with `python -m benchmarks.steps.overhead`. All arms of a network live in
one process, on one thread, and take turns in a new random order every round.
"step" is the time of a step of a `fit` call in which nothing is due, "fit" that
of the whole call, both as CPU time of the process; tables show medians of the
ratios to plain `fit` of the same round. The arm "plain again" is a second plain
model: it shows the noise.
"""

import argparse
import gc
import random
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

from benchmarks.pruning import models
from benchmarks.records import Records
from benchmarks.steps import arms
from benchmarks.steps.clock import Clock

ROUNDS = 9
SETTINGS = {
    "batch": models.BATCH,
    "optimizer": "Adam 1e-3",
    "steps": arms.STEPS,
    "timed": [arms.FIRST, arms.LAST, arms.EVERY],
    "rounds": ROUNDS,
    "threads": 1,
}

Row = dict[str, Any]
Fit = Callable[[], Row]


def main() -> None:
    """Measures every network that the results do not hold yet."""
    options = _parse()
    name = f"step_overhead_{keras.backend.backend()}"
    records = Records(name, SETTINGS, fresh=options.fresh)
    for kind in options.models:
        if not options.dry and records.find(model=kind) is not None:
            continue
        rows = list(measure(kind, options.arms, options.rounds))
        show(kind, rows)
        for row in () if options.dry else rows:
            records.add({"model": kind, **row})


def measure(kind: str, names: list[str] | None, rounds: int) -> Iterator[Row]:
    """Yields a row a call: arms in random order, round by round."""
    x, y = _samples(kind)
    fits = {name: _warm(kind, name, x, y) for name in arms.chosen(names)}
    order = random.Random(0)
    for turn in range(rounds):
        turns = list(fits)
        order.shuffle(turns)
        gc.collect()
        for name in turns:
            base = arms.ARMS[name].base
            yield {"arm": name, "base": base, "round": turn, **fits[name]()}


def show(kind: str, rows: list[Row]) -> None:
    """Prints the medians of the ratios."""
    for name in dict.fromkeys(row["arm"] for row in rows):
        cells = [
            f"{clock} {statistics.median(ratios(rows, name, clock)):.3f}"
            for clock in ("step", "fit")
        ]
        own = statistics.median(r["step"] for r in rows if r["arm"] == name)
        print(
            f"{kind} {name:28} {', '.join(cells)} {1e6 * own:.0f} us",
            flush=True,
        )


def ratios(rows: list[Row], name: str, clock: str) -> list[float]:
    """Returns an arm's ratios to the arm that it is compared with."""
    times = {(row["arm"], row["round"]): row[clock] for row in rows}
    rounds = sorted({row["round"] for row in rows})
    base = arms.ARMS[name].base
    return [times[name, r] / times[base, r] for r in rounds]


def _warm(kind: str, name: str, x: Any, y: Any) -> Fit:
    """Returns a function that trains a network that has trained before."""
    arm = arms.ARMS[name]
    build = arm.build or arms.ARMS[arm.base].build
    model = build(kind)  # type: ignore[misc]
    used: list[Any] = []
    data: Any = None
    if arm.make is not None:
        found = arm.make(model, x, y)
        used, data = found if arm.planned else (found, None)

    def fit() -> Row:
        clock = Clock(arms.FIRST, arms.LAST, arms.EVERY)
        own = [clock, *used]
        cpu = time.process_time()
        shared = {"epochs": arm.epochs, "verbose": 0, "callbacks": own}
        if arm.planned:
            model.fit(data, **shared)
        else:
            model.fit(x, y, batch_size=models.BATCH, **shared)
        cpu = time.process_time() - cpu
        return {"step": round(clock.step, 7), "fit": round(cpu, 5)}

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit()
        if arm.leaves:
            used.clear()
        fit()

    def again() -> Row:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return fit()

    return again


def _samples(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns noise: what the numbers are does not matter for the time."""
    rng = np.random.default_rng(0)
    shape = (784,) if kind == "mlp" else (28, 28, 1)
    count = arms.STEPS * models.BATCH
    x = rng.random((count, *shape), "float32")
    return x, rng.integers(0, models.CLASSES, count).astype("int32")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--dry", action="store_true", help="write nothing")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--models", nargs="*", default=list(models.WIDTHS))
    parser.add_argument("--arms", nargs="*")
    return parser.parse_args()


if __name__ == "__main__":
    main()
