"""Accuracy of students with and without distillation, with controls.

Run with `python -m benchmarks.distillation.accuracy` on the TensorFlow
backend. Rows that are already in `benchmarks/results/distillation.json` are
kept; `--fresh` measures all. Trained networks are kept in `build/benchmarks`.
"""

import argparse
import dataclasses
import shutil
import time
import warnings

from benchmarks.distillation import arms, models
from benchmarks.records import Records

NAME = "distillation"
SETTINGS = {
    "data": f"Fashion-MNIST, {models.SAMPLES:,} train, 10,000 test",
    "optimizer": "Adam, cosine decay to 2 %",
    "batch": models.BATCH,
    "order": "shuffled anew every epoch",
    "teacher": {"widths": models.TEACHER, "epochs": models.TEACHER_EPOCHS},
    **{k: dataclasses.asdict(s) for k, s in models.SETTINGS.items()},
}


def main() -> None:
    """Measures every missing row."""
    options = _parse()
    records = Records(NAME, SETTINGS, fresh=options.fresh)
    if options.fresh:
        shutil.rmtree(models.FOLDER, ignore_errors=True)
    bench = models.Bench()
    for seed in range(options.seeds):
        for kind in options.settings:
            for name in options.arms:
                arm = arms.ARMS[name]
                key = {"setting": kind, "arm": name, "seed": seed}
                if kind not in arm.settings or records.find(**key):
                    continue
                begin = time.process_time()
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    row = arm.run(bench, models.SETTINGS[kind], seed)
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
