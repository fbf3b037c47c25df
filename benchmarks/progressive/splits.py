"""Five tasks of two classes each: what is forgotten, and what it costs.

Run with `KERAS_BACKEND=jax python -m benchmarks.progressive.splits`. Every
task has two classes of Fashion-MNIST that no other task has. Arms: one
progressive network; a single column per task from scratch; one column that is
trained on task after task, with a head per task.
"""

import argparse
from typing import Any

import keras
import numpy as np

from benchmarks.progressive.fashion_data import few_labels, load, of_classes
from benchmarks.records import Records
from keras_netopt.progressive import ProgressiveNetwork

NAME = "progressive_splits"
TASKS = {f"{k} and {k + 1}": (k, k + 1) for k in range(0, 10, 2)}
LABELS, BATCH, EPOCHS = 100, 20, 10
SETTINGS = {
    "tasks": list(TASKS),
    "column": "784-64-64",
    "labels_per_class": LABELS,
    "optimizer": "Adam 1e-3",
    "batch": BATCH,
    "epochs": EPOCHS,
}


def main() -> None:
    """Measures every seed that is not there yet."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    records = Records(NAME, SETTINGS, fresh=options.fresh)
    for seed in range(options.seeds):
        if not records.find(seed=seed):
            row = measure(seed)
            records.add({"seed": seed, **row})
            print(seed, row, flush=True)


def measure(seed: int) -> dict[str, Any]:
    """Trains all arms on the five tasks."""
    first, _, test = load(seed)
    data = {
        name: (few_labels(first, pair, LABELS), of_classes(test, pair))
        for name, pair in TASKS.items()
    }
    # Labels 0 and 1 within each task.
    data = {
        name: ((x, y % 2), (x_test, y_test % 2))
        for name, ((x, y), (x_test, y_test)) in data.items()
    }
    net = ProgressiveNetwork(column, keras.Input((28, 28)))
    trunk = column(inputs := keras.Input((28, 28)))[-1]
    shared: dict[str, keras.Model] = {}
    curves: dict[str, list[list[float]]] = {"scratch": [], "progressive": []}
    after: list[dict[str, list[float]]] = []
    answers: dict[str, np.ndarray] = {}
    for number, (name, (train, tested)) in enumerate(data.items()):
        keras.utils.set_random_seed(10 * seed + number)
        own = net.add_task(keras.layers.Dense(2), name=name)
        curves["progressive"].append(fit(own, train, tested))
        keras.utils.set_random_seed(10 * seed + number)
        single = ProgressiveNetwork(column, keras.Input((28, 28)))
        alone = single.add_task(keras.layers.Dense(2))
        curves["scratch"].append(fit(alone, train, tested))
        shared[name] = keras.Model(inputs, keras.layers.Dense(2)(trunk))
        fit(shared[name], train, tested)
        after.append(
            {
                "progressive": _accuracies(net, net.tasks, data),
                "fine_tuning": _accuracies(shared, shared, data),
            }
        )
        answers[name] = _predict(own, tested[0])
    equal = [
        np.array_equal(answers[name], _predict(net[name], data[name][1][0]))
        for name in TASKS
    ]
    return {
        "curves": curves,
        "after": after,
        "outputs_bit_equal": sum(equal),
        "check_passed": net.check_forgetting().passed,
        "costs": [
            [one.column_params, one.lateral_params, one.head_params, one.macs]
            for one in net.summary().tasks
        ],
    }


def column(inputs: Any) -> list[Any]:
    """Returns the hidden tensors of a column."""
    h1 = keras.layers.Dense(64, "relu")(keras.layers.Flatten()(inputs))
    return [h1, keras.layers.Dense(64, "relu")(h1)]


def fit(model: keras.Model, train: Any, tested: Any) -> list[float]:
    """Trains a model and returns its test accuracy after every epoch."""
    model.compile(
        keras.optimizers.Adam(1e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    logs = model.fit(
        *train,
        batch_size=BATCH,
        epochs=EPOCHS,
        validation_data=tested,
        validation_batch_size=1000,
        verbose=0,
    ).history
    return [round(float(value), 4) for value in logs["val_accuracy"]]


def _accuracies(models: Any, names: Any, data: Any) -> list[float]:
    found = []
    for name in names:
        x, y = data[name][1]
        right = _predict(models[name], x).argmax(axis=1) == y
        found.append(round(float(right.mean()), 4))
    return found


def _predict(model: keras.Model, images: np.ndarray) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(model(images, training=False)))


if __name__ == "__main__":
    main()
