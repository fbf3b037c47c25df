"""Initialization of new channels: paired, zero, copied, GradMax, random.

Run with `python -m benchmarks.growing.new_units`. Rows that are already in
`benchmarks/results/growing_new_units.json` are kept; `--fresh` repeats all.
All arms of a seed start from the same trained small network.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import keras

from benchmarks.growing import models
from benchmarks.records import Records
from keras_netopt.callbacks.growing import Growing
from keras_netopt.surgery.growing.actions import Widen

NAME = "growing_new_units"
ARMS = ("paired", "zero", "net2net", "gradmax", "random", "none")
SMALL = (8, 8, 16, 16)
FACTOR = 2
BEFORE, AFTER = 3, 4
IMAGES = 12_800
CASES = {
    "cnn with batch norm, Adam": {"norm": True, "optimizer": "adam"},
    "cnn with batch norm, SGD": {"norm": True, "optimizer": "sgd"},
    "cnn with biases, Adam": {"norm": False, "optimizer": "adam"},
}
SETTINGS = {
    "data": f"Fashion-MNIST, {IMAGES:,} train, 10,000 test",
    "widths": SMALL,
    "factor": FACTOR,
    "epochs before and after": [BEFORE, AFTER],
    "batch": models.BATCH,
    "optimizers": "Adam 1e-3; SGD 0.05 with momentum 0.9",
}


def main() -> None:
    """Measures every missing row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--cases", nargs="+", default=list(CASES))
    parser.add_argument("--limit", type=int, default=IMAGES)
    options = parser.parse_args()
    is_whole = options.limit == IMAGES
    name = NAME if is_whole else f"{NAME}_try"
    settings = {**SETTINGS, "images": options.limit}
    records = Records(name, settings, fresh=options.fresh)
    data = models.fashion_mnist(options.limit)
    for seed in range(options.seeds):
        for case in options.cases:
            with tempfile.TemporaryDirectory() as folder:
                measure(records, data, case, seed, Path(folder, "start.keras"))


def measure(
    records: Records, data: models.Data, case: str, seed: int, path: Path
) -> None:
    """Measures every arm of a case and seed that is not there yet."""
    missing = [
        arm for arm in ARMS if not records.find(case=case, arm=arm, seed=seed)
    ]
    if not missing:
        return
    keras.utils.set_random_seed(seed)
    model = build(case)
    _fit(model, data, BEFORE, seed)
    model.save(path)
    for arm in missing:
        begin = time.perf_counter()
        row = run(keras.saving.load_model(path), data, arm, seed)
        row["seconds"] = round(time.perf_counter() - begin, 1)
        records.add({"case": case, "arm": arm, "seed": seed, **row})
        print(
            f"{case}, {arm}, seed {seed}: loss {row['loss']:.4f}, accuracy "
            f"{row['accuracy']:.4f}, moved {row['moved']:.1e} "
            f"({row['seconds']} s) {row['notes'][:1]}",
            flush=True,
        )


def build(case: str) -> Any:
    """Builds the small network of a case."""
    options = CASES[case]
    if options["optimizer"] == "sgd":
        optimizer = keras.optimizers.SGD(0.05, momentum=0.9)
    else:
        optimizer = keras.optimizers.Adam(1e-3)
    return models.cnn(SMALL, optimizer, norm=bool(options["norm"]))


def run(model: Any, data: models.Data, arm: str, seed: int) -> dict[str, Any]:
    """Grows every convolution at once, and trains on."""
    callbacks, growing = [], None
    if arm != "none":
        x, y = data.train
        growing = Growing(
            [Widen(f"conv{i}", factor=FACTOR) for i in range(len(SMALL))],
            {0: list(range(len(SMALL)))},
            new_units=arm,
            calibration_data=(x[:512], y[:512]),
            verbose=0,
        )
        callbacks.append(growing)
    history = _fit(model, data, AFTER, 100 + seed, callbacks)
    reports = growing.reports if growing is not None else []
    return {
        "loss": history["loss"][-1],
        "losses": history["loss"],
        "test_loss": history["val_loss"][-1],
        "accuracy": history["val_accuracy"][-1],
        "accuracies": history["val_accuracy"],
        "moved": history["max_output_change"][0]
        if growing is not None
        else 0.0,
        "notes": [note for report in reports for note in report.notes],
    }


def _fit(
    model: Any, data: models.Data, epochs: int, seed: int, callbacks: Any = ()
) -> dict[str, list[float]]:
    history = model.fit(
        models.shuffled(data.train, seed),
        shuffle=False,
        epochs=epochs,
        validation_data=data.test,
        validation_batch_size=500,
        callbacks=list(callbacks),
        verbose=0,
    )
    return {k: [round(v, 8) for v in vs] for k, vs in history.history.items()}


if __name__ == "__main__":
    main()
