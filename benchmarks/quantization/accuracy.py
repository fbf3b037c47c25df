"""Accuracy and file size of quantized networks, against controls and tfmot.

Run with `python -m benchmarks.quantization.accuracy`; needs the TensorFlow
backend, for the files are LiteRT, and the extra of `quantize="int4"`. Rows
that are already in `benchmarks/results/quantization_accuracy.json` are kept;
`--fresh` measures all. Trained starting points are kept in `build/benchmarks`.
"""

import argparse
import dataclasses
import shutil
import time
import warnings

from benchmarks.pruning.models import BATCH
from benchmarks.quantization import arms, models, starts
from benchmarks.records import Records

NAME = "quantization_accuracy"
SETTINGS = {
    "data": "Fashion-MNIST, 10,000 test images",
    "optimizer": "Adam",
    "batch": BATCH,
    "order": "shuffled anew every epoch",
    **{k: dataclasses.asdict(s) for k, s in models.SETTINGS.items()},
}


def main() -> None:
    """Measures every missing row."""
    options = _parse()
    records = Records(NAME, SETTINGS, fresh=options.fresh)
    if options.fresh:
        shutil.rmtree(starts.FOLDER, ignore_errors=True)
    for kind in options.settings:
        bench = starts.Bench(kind)
        for seed in range(options.seeds):
            for name in options.arms:
                arm = arms.ARMS[name]
                key = {"setting": kind, "arm": name, "seed": seed}
                if kind not in arm.settings or records.find(**key):
                    continue
                begin = time.process_time()
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    row = arm.run(bench, seed)
                row["cpu_seconds"] = round(time.process_time() - begin, 1)
                records.add({**key, **row})
                print(*key.values(), row, flush=True)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--arms", nargs="+", default=list(arms.ARMS))
    parser.add_argument("--settings", nargs="+", default=list(models.SETTINGS))
    return parser.parse_args()


if __name__ == "__main__":
    main()
