"""Accuracy, MACs and LiteRT latency after channel pruning, with controls.

Run with `python -m benchmarks.channel_pruning.accuracy`; needs the TensorFlow
backend, for the files are LiteRT. Rows that are already in
`benchmarks/results/channel_pruning.json` are kept; `--fresh` measures all.
Dense parents are kept in `build/benchmarks`, so that all arms share them.
"""

import argparse
import time
from pathlib import Path

from benchmarks.channel_pruning import arms, models
from benchmarks.records import Records

NAME = "channel_pruning"
STARTS = Path("build", "benchmarks", "channel_pruning")
SETTINGS = {
    "data": "Fashion-MNIST, 60,000 train, 10,000 test",
    "optimizer": f"Adam {models.RATE}, in each fit the last 40 % a cosine",
    "batch": models.BATCH,
    "order": "shuffled anew every epoch",
    "dense_epochs": arms.DENSE_EPOCHS,
    "pruning_epochs": arms.PRUNING_EPOCHS,
    "ratio": arms.RATIO,
    "widths": models.WIDTHS,
}


def main() -> None:
    """Measures every missing row."""
    options = _parse()
    settings = {**SETTINGS, "limit": options.limit}
    name = NAME if options.limit is None else f"{NAME}_try"
    records = Records(name, settings, fresh=options.fresh)
    if options.fresh:
        for path in STARTS.glob("*.keras"):
            path.unlink()
    STARTS.mkdir(parents=True, exist_ok=True)
    bench = arms.Bench(STARTS, options.limit)
    for seed in range(options.seeds):
        for arm in options.arms:
            measure(records, bench, arm, seed)


def measure(records: Records, bench: arms.Bench, arm: str, seed: int) -> None:
    """Measures the row of one arm and seed if it is not there yet."""
    if records.find(arm=arm, seed=seed):
        return
    begin = time.perf_counter()
    earlier = records.find(arm="magnitude", seed=seed)
    row = arms.ARMS[arm].run(bench, seed, earlier)
    row["seconds"] = round(time.perf_counter() - begin, 1)
    records.add({"arm": arm, "seed": seed, **row})
    print(
        f"{arm} seed {seed}: {row['accuracy']:.4f}, {row['macs']:,} MACs, "
        f"{row['latency_ms']:.3f} of {row['latency_dense_ms']:.3f} ms "
        f"({row['seconds']} s)",
        flush=True,
    )


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--seeds", type=int, default=3)
    default = [name for name, arm in arms.ARMS.items() if arm.default]
    parser.add_argument("--arms", nargs="+", default=default)
    parser.add_argument("--limit", type=int, help="train on so many images")
    return parser.parse_args()


if __name__ == "__main__":
    main()
