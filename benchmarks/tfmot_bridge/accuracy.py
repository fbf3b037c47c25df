"""Measures tfmot on Keras 3 models beside the trainings of this package.

Run with `python -m benchmarks.tfmot_bridge.accuracy`; needs the TensorFlow
backend. Rows that are already in `benchmarks/results/tfmot_bridge.json` are
kept; `--fresh` measures all. Starting points are kept in `build/benchmarks`.
"""

import argparse
import shutil
import time
import warnings

from benchmarks.records import Records
from benchmarks.tfmot_bridge import arms, starts

NAME = "tfmot_bridge"


def main() -> None:
    """Measures every missing row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--arms", nargs="+", default=list(arms.ARMS))
    options = parser.parse_args()
    records = Records(NAME, starts.describe(), fresh=options.fresh)
    if options.fresh:
        shutil.rmtree(starts.FOLDER, ignore_errors=True)
    ready = starts.Starts()
    for seed in range(options.seeds):
        for name in options.arms:
            key = {"arm": name, "seed": seed}
            if records.find(**key):
                continue
            begin = time.process_time()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                row = arms.ARMS[name].run(ready, seed)
            row["cpu_seconds"] = round(time.process_time() - begin, 1)
            records.add({**key, **row})
            print(*key.values(), row, flush=True)


if __name__ == "__main__":
    main()
