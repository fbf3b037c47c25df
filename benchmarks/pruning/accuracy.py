"""Accuracy and file size after pruning, against controls and tfmot.

Run with `python -m benchmarks.pruning.accuracy`; needs the TensorFlow
backend, for the files are LiteRT. Rows that are already in
`benchmarks/results/pruning_accuracy.json` are kept; `--fresh` measures all.
Dense parents are kept in `build/benchmarks`, so that later rows share them.
"""

import argparse
import shutil
import time
from pathlib import Path

from benchmarks.pruning import arms, models
from benchmarks.records import Records

NAME = "pruning_accuracy"
STARTS = Path("build", "benchmarks")
SETTINGS = {
    "data": "Fashion-MNIST, 60,000 train, 10,000 test",
    "optimizer": "Adam 1e-3",
    "batch": models.BATCH,
    "order": "shuffled anew every epoch",
    "dense_epochs": arms.DENSE_EPOCHS,
    "pruning_epochs": arms.PRUNING_EPOCHS,
    "widths": models.WIDTHS,
    "tfmot": "PolynomialDecay 0 -> s over 2 epochs, frequency 50",
}


def main() -> None:
    """Measures every missing row."""
    options = _parse()
    records = Records(NAME, SETTINGS, fresh=options.fresh)
    if options.fresh:
        shutil.rmtree(STARTS, ignore_errors=True)
    STARTS.mkdir(parents=True, exist_ok=True)
    for kind in options.models:
        bench = arms.Bench(kind, STARTS)
        for seed in range(options.seeds):
            for name in options.arms:
                measure(records, bench, name, seed, options.sparsities)


def measure(
    records: Records,
    bench: arms.Bench,
    name: str,
    seed: int,
    chosen: list[float] | None = None,
) -> None:
    """Measures the rows of one arm and seed that are not there yet."""
    arm = arms.ARMS[name]
    for sparsity in arm.sparsities:
        if chosen and sparsity and sparsity not in chosen:
            continue
        key = {
            "model": bench.kind,
            "arm": name,
            "sparsity": sparsity,
            "seed": seed,
        }
        if records.find(**key):
            continue
        begin = time.perf_counter()
        row = arm.run(bench, sparsity, seed)
        row["seconds"] = round(time.perf_counter() - begin, 1)
        records.add({**key, **row})
        print(
            f"{bench.kind} {name} {sparsity} seed {seed}: "
            f"{row['accuracy']:.4f} ({row['seconds']} s)",
            flush=True,
        )


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--arms", nargs="+", default=list(arms.ARMS))
    parser.add_argument("--models", nargs="+", default=list(models.WIDTHS))
    parser.add_argument("--sparsities", nargs="+", type=float)
    return parser.parse_args()


if __name__ == "__main__":
    main()
