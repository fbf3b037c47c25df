"""Found against random sub-networks, after the same training.

Found and random networks of a seed are trained with the same batches. The
whole network has the same initial weights, but another order of batches: the
difference from it is paired by network, not by batches.

Run with `python -m benchmarks.sparse_training.weedout`, on JAX with one
thread. Rows that are already in the JSON are kept; `--fresh` measures all.
"""

import argparse
import itertools
import time
from typing import Any

import keras_netopt as netopt
from benchmarks.records import Records
from benchmarks.sparse_training import weedout_arms as arms

NAME = "sparse_training_weedout"
SETTINGS = {
    "data": "Fashion-MNIST, pixels in [0, 1]; CNN: 14 x 14",
    "images": [arms.TRAINED, arms.TESTED],
    "training": f"{arms.STEPS} steps of {arms.BATCH}",
    "optimizer": f"SGD, {arms.RATE} to 0 by cosine",
    "search": f"{arms.CANDIDATES} evaluations on {arms.SCORED} images",
    "seeds": list(arms.SEEDS),
}
FOUND, RANDOM = "found", "random"


def main() -> None:
    """Measures every missing row."""
    options = _parse()
    records = Records(NAME, SETTINGS, fresh=options.fresh)
    trainers = {net: arms.Trainer(net) for net in options.nets}
    # All seeds of a row before the next row: an interrupted run has rows of
    # equally many seeds.
    seeds = arms.SEEDS[: options.seeds]
    for width, seed, net in itertools.product((1, 2, 4), seeds, trainers):
        key = {"net": net, "row": f"parent {width}", "seed": seed}
        if not records.find(**key):
            model = arms.build(net, width, seed)
            losses = trainers[net].fit(model, arms.STEPS, seed)
            accuracy = trainers[net].test(model)
            records.add({**key, "accuracy": accuracy, "losses": losses})
    for name, seed, net in itertools.product(arms.ROWS, seeds, trainers):
        row, key = arms.ROWS[name], {"net": net, "row": name, "seed": seed}
        if net in row.nets and not records.find(**key):
            begin = time.process_time()
            found = _measure(trainers[net], net, row, seed)
            spent = round(time.process_time() - begin, 2)
            records.add({**key, **found, "cpu_seconds": spent})
            print(key, found["accuracy"], spent, flush=True)


def _measure(
    trainer: arms.Trainer, net: str, row: arms.Row, seed: int
) -> dict[str, Any]:
    start = arms.build(net, row.width, seed)
    steps = [b - a for a, b in zip((0, *row.cuts), row.cuts, strict=False)]
    sparsity = 1 - (1 - row.sparsity) ** (1 / len(row.cuts))
    x, y, *_ = arms.data(net)
    networks = {FOUND: start, RANDOM: start}
    losses: dict[str, list[float]] = {FOUND: [], RANDOM: []}
    initial: dict[str, float] = {}
    shares: dict[str, tuple[float, float]] = {}
    searching = 0.0
    for part, length in enumerate(steps):
        done = sum(steps[:part])
        if length:
            for arm, model in networks.items():
                if networks[FOUND] is networks[RANDOM] and arm == RANDOM:
                    losses[arm] += losses[FOUND]
                    continue
                # Other batches than in the part before.
                order = seed + 1000 * part
                losses[arm] += trainer.fit(model, length, order, done)
        results = {
            arm: netopt.search.weedout(
                networks[arm],
                **{"candidates": arms.CANDIDATES, **row.arguments}
                | {"sparsity": sparsity},
                data=(x, y),
                batch=arms.SCORED,
                seed=seed,
                verbose=0,
            )
            for arm in (FOUND, RANDOM)
            if arm == FOUND or networks[FOUND] is not networks[RANDOM]
        }
        searching += results[FOUND].seconds
        found = results[FOUND].found
        control = results.get(RANDOM, results[FOUND]).random[0]
        networks = {FOUND: found.model, RANDOM: control.model}
        initial = {FOUND: found.loss, RANDOM: control.loss}
        for arm, one in ((FOUND, found), (RANDOM, control)):
            shares[arm] = (one.node_sparsity, one.weight_sparsity)
    rest = arms.STEPS - row.cuts[-1]
    for arm, model in networks.items():
        order = seed + 1000 * len(steps)
        losses[arm] += trainer.fit(model, rest, order, row.cuts[-1])
    return {
        "accuracy": {a: trainer.test(m) for a, m in networks.items()},
        "initial": {a: round(v, 4) for a, v in initial.items()},
        "shares": {a: [round(s, 4) for s in v] for a, v in shares.items()},
        "losses": losses,
        "search_seconds": round(searching, 2),
    }


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--seeds", type=int, default=len(arms.SEEDS))
    parser.add_argument("--nets", nargs="+", default=list(arms.TITLES))
    return parser.parse_args()


if __name__ == "__main__":
    main()
