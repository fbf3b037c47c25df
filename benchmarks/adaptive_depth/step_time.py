"""Training step time with dropped blocks, relative to all blocks.

Run with `KERAS_BACKEND=jax python -m benchmarks.adaptive_depth.step_time`, and
with tensorflow and torch. All arms run in one process in turns; each time is
divided by that of the ordinary network in the same round. "plain again" is a
second ordinary network, whose deviation from 1 is noise.
"""

import argparse
from typing import Any

import keras

from benchmarks.adaptive_depth import residual
from benchmarks.records import Records
from benchmarks.turns import Fit, take_turns

ROUNDS = 15
STEPS = 60
RATES = (0.0, 0.5, 1.0)
SETTINGS = {
    "network": f"{residual.BLOCKS} residual blocks, width {residual.UNITS}",
    "batch": residual.BATCH,
    "steps a round": STEPS,
    "rounds": ROUNDS,
    "rates": "the same for every block",
}


def main() -> None:
    """Measures on the current backend."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--limit", type=int, default=0)
    options = parser.parse_args()
    fits = prepare()
    if options.limit:
        print(list(take_turns(fits, options.limit)))
        return
    records = Records(
        f"stochastic_depth_time_{keras.backend.backend()}",
        SETTINGS,
        fresh=options.fresh,
    )
    if not records.rows:
        # Written at once: a partial comparison is invalid.
        for row in list(take_turns(fits, ROUNDS)):
            records.add(row)


def prepare() -> dict[str, Fit]:
    """Returns training calls by arm, after a warm-up."""
    (x, y), _ = residual.load()
    rows = STEPS * residual.BATCH
    built = {"plain": residual.plain(), "plain again": residual.plain()}
    for mode in ("batch", "sample"):
        for rate in RATES if mode == "batch" else (0.5,):
            model = residual.stochastic(0.5, mode)
            for layer in model.layers:
                if hasattr(layer, "rate"):
                    layer.rate.assign(rate)
            built[f"{mode}, rate {rate}"] = model

    def fit(model: Any) -> Fit:
        return lambda: model.fit(
            x[:rows], y[:rows], batch_size=residual.BATCH, verbose=0
        )

    fits = {name: fit(model) for name, model in built.items()}
    for one in fits.values():
        one()
    return fits


if __name__ == "__main__":
    main()
