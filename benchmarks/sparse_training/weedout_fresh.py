"""Networks as narrow as those of Weedout, with initial values of their own.

A sub-network inherits weights that were drawn for the width of its parent.
This control has the same widths and batches, and weights drawn for them. Run
with `python -m benchmarks.sparse_training.weedout_fresh` on JAX.
"""

import argparse

from benchmarks.records import Records
from benchmarks.sparse_training import weedout, weedout_arms

NAME = "sparse_training_weedout_fresh"


def main() -> None:
    """Measures every missing row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--seeds", type=int, default=len(weedout_arms.SEEDS))
    options = parser.parse_args()
    records = Records(NAME, weedout.SETTINGS, fresh=options.fresh)
    for net in weedout_arms.TITLES:
        trainer = weedout_arms.Trainer(net)
        for sparsity in weedout_arms.SPARSITIES:
            for seed in weedout_arms.SEEDS[: options.seeds]:
                key = {"net": net, "sparsity": sparsity, "seed": seed}
                if records.find(**key):
                    continue
                model = weedout_arms.build(net, 1, seed, sparsity)
                # The batches of the other networks of this seed.
                order = seed + 1000
                losses = trainer.fit(model, weedout_arms.STEPS, order)
                accuracy = trainer.test(model)
                records.add({**key, "accuracy": accuracy, "losses": losses})
                print(key, accuracy, flush=True)


if __name__ == "__main__":
    main()
