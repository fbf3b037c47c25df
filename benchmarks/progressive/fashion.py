"""Related tasks with few labels, after a first column on Fashion-MNIST.

Run with `KERAS_BACKEND=jax python -m benchmarks.progressive.fashion`. The
first column is trained on 10,000 clean images. A later task has the same
classes, 25 labels per class and changed images: noise, inversion or a
rotation. Every arm of `progressive.measure_transfer` is trained on it, also
with `alpha_init=1` and with linear adapters.
"""

import argparse
import time
from typing import Any

import keras
import numpy as np

from benchmarks.progressive.fashion_data import change, few_labels, load
from benchmarks.records import Records
from keras_netopt.progressive import ProgressiveNetwork, measure_transfer

NAME = "progressive_fashion"
CLASSES, LABELS = 10, 25
BATCH, EPOCHS, FIRST_EPOCHS = 25, 30, 5
SETTINGS = {
    "first": "10,000 images, 5 epochs",
    "labels_per_class": LABELS,
    "optimizer": "Adam 1e-3",
    "batch": BATCH,
    "epochs": EPOCHS,
    "tested": 5_000,
}
COLUMNS = ("dense", "convolutional")
TASKS = ("noise", "inversion", "rotation")
# Settings of the laterals, and the arms that are trained with them.
WAYS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "default": (
        {},
        (
            "scratch",
            "progressive",
            "random_column",
            "equal_width",
            "head_only",
            "fine_tuning",
        ),
    ),
    "alpha 1": ({"alpha_init": 1.0}, ("progressive", "random_column")),
    "linear": ({"adapter": "linear"}, ("progressive", "random_column")),
}


def build(column: str) -> keras.Model:
    """Returns the compiled model of a single task."""
    layers = keras.layers
    if column == "dense":
        body = [layers.Flatten(), layers.Dense(64, "relu")]
    else:
        body = [
            layers.Reshape((28, 28, 1)),
            layers.Conv2D(16, 3, strides=2, padding="same", activation="relu"),
            layers.Conv2D(32, 3, strides=2, padding="same", activation="relu"),
            layers.Flatten(),
        ]
    model = keras.Sequential(
        [
            keras.Input((28, 28)),
            *body,
            layers.Dense(64, "relu"),
            layers.Dense(CLASSES),
        ]
    )
    model.compile(
        keras.optimizers.Adam(1e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def main() -> None:
    """Measures every row that is not there yet."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--columns", nargs="+", default=list(COLUMNS))
    parser.add_argument("--tasks", nargs="+", default=list(TASKS))
    parser.add_argument("--ways", nargs="+", default=list(WAYS))
    options = parser.parse_args()
    records = Records(NAME, SETTINGS, fresh=options.fresh)
    for column in options.columns:
        for seed in range(options.seeds):
            keys = [
                {"column": column, "task": task, "way": way, "seed": seed}
                for task in options.tasks
                for way in options.ways
            ]
            missing = [key for key in keys if not records.find(**key)]
            if missing:
                source, first = train_first(column, seed)
            for key in missing:
                row = measure(source, key["task"], key["way"], seed)
                records.add({**key, "first": first, **row})
                print(key, row["scores"], row["seconds"], flush=True)


def train_first(column: str, seed: int) -> tuple[keras.Model, float]:
    """Returns the trained model of the first task, and its accuracy."""
    (x, y), _, test = load(seed)
    keras.utils.set_random_seed(seed)
    model = build(column)
    model.fit(x, y, batch_size=BATCH, epochs=FIRST_EPOCHS, verbose=0)
    accuracy = model.evaluate(*test, batch_size=1000, verbose=0)[1]
    return model, round(float(accuracy), 4)


def measure(
    source: keras.Model, task: str, way: str, seed: int
) -> dict[str, Any]:
    """Returns the curves of the arms of one task."""
    _, rest, test = load(seed)
    x, y = few_labels(rest, range(CLASSES), LABELS)
    tested = (change(test[0], task, 10_000 + seed), test[1])
    settings, arms = WAYS[way]
    begin = time.perf_counter()
    report = measure_transfer(
        ProgressiveNetwork(source, **settings),
        None,
        change(x, task, seed),
        y,
        validation_data=tested,
        epochs=EPOCHS,
        batch_size=BATCH,
        seeds=[seed],
        arms=arms,
    )
    return {
        "curves": {
            name: [round(float(value), 4) for value in curve[0]]
            for name, curve in report.curves.items()
        },
        "scores": {
            name: round(score.mean, 4)
            for name, score in report.scores().items()
        },
        "parameters": dict(report.parameters),
        "missing": dict(report.missing),
        "labels": np.bincount(y).tolist(),
        "seconds": round(time.perf_counter() - begin, 1),
    }


if __name__ == "__main__":
    main()
