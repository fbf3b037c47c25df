"""Step time with Mixture-of-Depths, relative to ordinary blocks.

Run with `KERAS_BACKEND=jax python -m benchmarks.adaptive_depth.tokens_time`.
All arms run in one process in turns; "plain again" is a second ordinary
network, whose deviation from 1 is noise.
"""

import argparse
from typing import Any

import keras

from benchmarks.adaptive_depth import tokens
from benchmarks.growing import models
from benchmarks.records import Records
from benchmarks.turns import Fit, take_turns

NAME = "mixture_of_depths_time"
ROUNDS, STEPS = 12, 8
SETTINGS = {
    **tokens.SETTINGS,
    "backend": "jax",
    "steps a round": STEPS,
    "rounds": ROUNDS,
}


def main() -> None:
    """Measures all arms."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--limit", type=int, default=0)
    options = parser.parse_args()
    fits = prepare()
    if options.limit:
        print(list(take_turns(fits, options.limit)))
        return
    records = Records(NAME, SETTINGS, fresh=options.fresh)
    if not records.rows:
        # Written at once: a partial comparison is invalid.
        for row in list(take_turns(fits, ROUNDS)):
            records.add(row)


def prepare() -> dict[str, Fit]:
    """Returns training and prediction calls by arm, after a warm-up."""
    data = models.python_docs(tokens.BATCH * tokens.STEPS)
    batches = models.shuffled(data.train, 0, tokens.BATCH).repeat()
    x = next(iter(batches.as_numpy_iterator()))[0]
    x = keras.ops.convert_to_numpy(x)
    arms = {"plain again": None, **tokens.CAPACITIES}
    built = {arm: tokens.build(capacity) for arm, capacity in arms.items()}

    def fit(model: Any) -> Fit:
        return lambda: model.fit(batches, steps_per_epoch=STEPS, verbose=0)

    def predict(model: Any) -> Fit:
        return lambda: [model.predict_on_batch(x) for _ in range(STEPS)]

    fits = {f"{arm}, training": fit(model) for arm, model in built.items()}
    fits |= {f"{arm}, inference": predict(m) for arm, m in built.items()}
    for one in fits.values():
        one()
    return fits


if __name__ == "__main__":
    main()
