"""Sixty trials of real training, for KerasTuner's searches, Optuna's and ours.

Run with `KERAS_BACKEND=torch python -m benchmarks.hpo.training`. A point is
trained once a seed, whoever asks for it, from initial weights of that seed:
arms differ in the points alone. Rows that are already in the JSON are kept;
`--fresh` measures all.
"""

import itertools
import time
import warnings
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from benchmarks.hpo.arms import ARMS, TRIALS
from benchmarks.missing_rows import measure_missing

NAME = "hpo_training"
IMAGES, HELD_OUT, EPOCHS, BATCH = 6_000, 5_000, 4, 64
CHOSEN = (
    *("grid", "random", "tpe", "gp"),
    *("optuna", "kt random", "kt bayesian"),
)
AXES: dict[str, list[Any]] = {
    "layers": [1, 2, 3],
    "units": [16, 32, 64, 128, 256],
    "dropout": [0.0, 0.1, 0.2, 0.3, 0.4, 0.5],
    "optimizer": ["sgd", "momentum", "adam"],
    "rate": [float(f"{10.0 ** (k / 3 - 4):.3g}") for k in range(10)],
    "decay": [0.0, 1e-5, 1e-4, 1e-3],
}
SETTINGS = {
    "data": f"Fashion-MNIST, {IMAGES:,} train, {HELD_OUT:,} to validate, "
    "10,000 to test",
    "axes": AXES,
    "trials": TRIALS,
    "epochs": EPOCHS,
    "batch": BATCH,
}


@dataclass(frozen=True)
class Trained:
    """Dense networks, trained when somebody asks.

    Args:
        seed: Of initial weights and order.
        axes: Values of each hyperparameter.
        found: What was trained already.
    """

    seed: int
    axes: dict[str, list[Any]] = field(default_factory=lambda: AXES)
    found: dict[str, list[float]] = field(default_factory=dict)

    def look_up(self, point: dict[str, Any]) -> list[float]:
        """Returns accuracies, held out and of the test, and CPU seconds."""
        key = str([point[name] for name in self.axes])
        if key not in self.found:
            self.found[key] = fit(point, self.seed)
        return self.found[key]


def main() -> None:
    """Measures every missing row."""
    warnings.simplefilter("ignore")
    measure_missing(NAME, SETTINGS, CHOSEN, search, TRIALS)


def fit(point: dict[str, Any], seed: int) -> list[float]:
    """Trains one network."""
    (x, y), held_out, test = _data()
    keras.utils.set_random_seed(seed)
    begin = time.process_time()
    model = build(point)
    model.fit(x, y, batch_size=BATCH, epochs=EPOCHS, verbose=0)
    seconds = time.process_time() - begin
    scores = [_accuracy(model, *part) for part in (held_out, test)]
    return [*scores, round(seconds, 3)]


def build(point: dict[str, Any]) -> keras.Model:
    """Returns the compiled network of a point."""
    x = inputs = keras.Input((784,))
    for _ in range(point["layers"]):
        x = keras.layers.Dense(point["units"], activation="relu")(x)
        x = keras.layers.Dropout(point["dropout"])(x)
    model = keras.Model(inputs, keras.layers.Dense(10)(x))
    options = {"weight_decay": point["decay"] or None}
    if point["optimizer"] == "adam":
        optimizer = keras.optimizers.Adam(point["rate"], **options)
    else:
        momentum = 0.9 if point["optimizer"] == "momentum" else 0.0
        optimizer = keras.optimizers.SGD(point["rate"], momentum, **options)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss)
    return model


def search(arm: str, seed: int, trials: int) -> dict[str, Any]:
    """Runs one search."""
    table = _TABLES.setdefault(seed, Trained(seed))
    rows = []
    steps: Any = ARMS[arm][0](table, seed)  # type: ignore[arg-type]
    asking = 0.0
    for point, tell, spent in itertools.islice(steps, trials):
        row = table.look_up(point)
        asking += spent
        tell(1.0 - row[0])
        rows.append(row)
    held_out, test, seconds = (list(part) for part in zip(*rows, strict=True))
    return {
        "held_out": held_out,
        "test": test[int(np.argmax(held_out))],
        "seconds": seconds,
        "asking": round(asking, 3),
    }


_TABLES: dict[int, Trained] = {}
_LOADED: list[Any] = []


def _data() -> Any:
    if not _LOADED:
        (x, y), (x_test, y_test) = keras.datasets.fashion_mnist.load_data()
        x, x_test = (
            part.reshape(len(part), -1).astype("float32") / 255
            for part in (x, x_test)
        )
        last = slice(-HELD_OUT, None)
        _LOADED.extend(
            [(x[:IMAGES], y[:IMAGES]), (x[last], y[last]), (x_test, y_test)]
        )
    return _LOADED


def _accuracy(model: keras.Model, x: np.ndarray, y: np.ndarray) -> float:
    answers = model.predict(x, batch_size=5000, verbose=0)
    return round(float((answers.argmax(-1) == y).mean()), 5)


if __name__ == "__main__":
    main()
