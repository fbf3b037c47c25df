"""Time of an epoch with the data set of a curriculum against arrays.

Run with `KERAS_BACKEND=jax python -m benchmarks.curriculum.overhead`. All arms
run in one process and take turns in random order; the result is the ratio to
`fit` on arrays in the same round. "plain again" is a second model trained on
arrays: its difference from 1 is noise. Scoring is timed separately.
"""

import argparse
import time

import keras
import numpy as np

from benchmarks.curriculum import data
from benchmarks.records import Records
from benchmarks.turns import Fit, take_turns
from keras_netopt.callbacks import Curriculum
from keras_netopt.curriculum import sample_losses

ROUNDS = 20
BATCH = 128
SAMPLES = 10_000
LIMIT = 1.03
SETTINGS = {
    "network": f"CNN {data.FILTERS} 3x3 of stride 2, dense {data.UNITS}",
    "samples": SAMPLES,
    "batch": BATCH,
    "rounds": ROUNDS,
    "fit": "one epoch of a model that has trained before",
}


def main() -> None:
    """Measures on the current Keras backend."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--limit", type=int, default=0)
    options = parser.parse_args()
    samples, rounds = SAMPLES, ROUNDS
    if options.limit:
        samples, rounds = 1024, options.limit
    fits, scoring = prepare(samples)
    if options.limit:
        print(list(take_turns(fits, rounds)), scoring())
        return
    records = Records(
        f"curriculum_overhead_{keras.backend.backend()}",
        SETTINGS,
        fresh=options.fresh,
    )
    if records.rows:
        return
    # Written at the end: rounds are compared within one run.
    for row in list(take_turns(fits, rounds)):
        records.add(row)
    for turn in range(5):
        begin = time.perf_counter()
        scoring()
        wall = round(time.perf_counter() - begin, 5)
        records.add({"arm": "scoring", "round": turn, "wall": wall})


def prepare(samples: int) -> tuple[dict[str, Fit], Fit]:
    """Returns warmed-up fits by arm, and a function that scores all samples."""
    task = data.load("clean", 0, samples=samples)
    x, y = task.x, task.y
    scores = np.random.default_rng(0).random(samples)
    whole = len(x) // BATCH * BATCH

    def arrays() -> Fit:
        model = data.build()
        return lambda: model.fit(
            x[:whole], y[:whole], batch_size=BATCH, verbose=0
        )

    def planned(ordering: str, workers: int = 1) -> Fit:
        model = data.build()
        curriculum = Curriculum(x, y, difficulty=scores, ordering=ordering)
        dataset = curriculum.dataset(BATCH, workers=workers)
        return lambda: model.fit(dataset, verbose=0, callbacks=[curriculum])

    fits = {
        "plain": arrays(),
        "plain again": arrays(),
        "shuffle": planned("shuffle"),
        "easy_first": planned("easy_first"),
        "easy_first, 2 threads": planned("easy_first", workers=2),
    }
    for fit in fits.values():
        fit()
    scorer = data.build()
    sample_losses(scorer, x, y)
    return fits, lambda: sample_losses(scorer, x, y)


if __name__ == "__main__":
    main()
