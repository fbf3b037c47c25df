"""How the second-order slots of new weights should begin: 0 or near a mean.

Run with `python -m benchmarks.growing.slots`; rows that are already in
`benchmarks/results/growing_slots.json` are kept. The means are those of the
old units of the same variable (widen) or of the layer in front (deepen).
"""

import argparse
import itertools
import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks.records import Records
from keras_netopt import datasets, surgery
from keras_netopt.surgery.edits.apply_plan import apply_plan
from keras_netopt.surgery.growing.deepen import deepen
from keras_netopt.surgery.growing.widen import plan_widen
from keras_netopt.training import slot_kinds

BATCH, STARTS, AFTER, EARLY = 64, (200, 1500), 200, 20
OPTIMIZERS = {
    "adam": lambda: keras.optimizers.Adam(1e-3),
    "rmsprop": lambda: keras.optimizers.RMSprop(1e-3),
    "adagrad": lambda: keras.optimizers.Adagrad(1e-2),
    "lamb": lambda: keras.optimizers.Lamb(1e-2),
}
FILLS = {"zero": 0.0, "mean / 100": 0.01, "mean / 10": 0.1, "mean": 1.0}
SETTINGS = {
    "data": "Fashion-MNIST sample, 6,000 train, 1,000 test",
    "batch": BATCH,
    "steps before the edit": STARTS,
    "steps after the edit": AFTER,
    "early steps": EARLY,
    "edits": "hidden layer 16 -> 64 (mlp), 12 -> 24 channels (cnn); one block",
}


def main() -> None:
    """Measures every missing row."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--optimizers", nargs="*", default=list(OPTIMIZERS))
    parser.add_argument("--models", nargs="*", default=["mlp", "cnn"])
    parser.add_argument("--starts", nargs="*", type=int, default=STARTS)
    options = parser.parse_args()
    records = Records("growing_slots", SETTINGS)
    for start, kind, name, seed in itertools.product(
        options.starts, options.models, options.optimizers, range(options.seeds)
    ):
        measure(records, kind, name, seed, start)


def measure(
    records: Records, kind: str, name: str, seed: int, start: int
) -> None:
    """Measures every arm that starts from one trained network."""
    arms = itertools.product(("widen", "deepen"), FILLS)
    common = {"start": start, "model": kind, "optimizer": name, "seed": seed}
    keys = [{**common, "edit": v, "fill": f} for v, f in arms]
    if all(records.find(**key) for key in keys):
        return
    batches, test = data(seed, start)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "start.keras")
        model = build(kind, OPTIMIZERS[name](), seed)
        for x, y in batches[:start]:
            model.train_on_batch(x, y)
        model.save(path)
        plain = train(keras.saving.load_model(path), batches[start:], test)
        for key in keys:
            if records.find(**key):
                continue
            grown = keras.saving.load_model(path)
            edit_and_fill_slots(grown, key["edit"], key["fill"], seed)
            found = train(grown, batches[start:], test)
            records.add(
                {
                    **key,
                    "step": found["step"] / plain["step"],
                    "early_loss": found["early"] - plain["early"],
                    "late_loss": found["late"] - plain["late"],
                    "accuracy": found["accuracy"] - plain["accuracy"],
                }
            )


def data(
    seed: int, start: int
) -> tuple[list[tuple[Any, Any]], tuple[Any, Any]]:
    """Draws the batches, the same ones for every arm of a seed."""
    (x, y), (x_test, y_test) = datasets.fashion_mnist_sample()
    x, x_test = (a[..., None].astype("float32") / 255 for a in (x, x_test))
    rng = np.random.default_rng(seed)
    picks = [rng.integers(0, len(x), BATCH) for _ in range(start + AFTER)]
    return [(x[i], y[i]) for i in picks], (x_test, y_test)


def build(kind: str, optimizer: Any, seed: int) -> keras.Model:
    """Builds the small network."""
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    inner = [
        layers.Flatten(),
        layers.Dense(16, activation="relu", name="hidden"),
        layers.Dense(64, activation="relu"),
    ]
    if kind == "cnn":
        inner = [
            layers.Conv2D(12, 3, strides=2, use_bias=False, name="hidden"),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
            layers.Conv2D(24, 3, strides=2, use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
            layers.GlobalAveragePooling2D(),
        ]
    model = keras.Sequential(
        [keras.Input((28, 28, 1)), *inner, layers.Dense(10)]
    )
    model.compile(
        optimizer,
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def edit_and_fill_slots(
    model: keras.Model, operation: str, fill: str, seed: int
) -> None:
    """Edits the network; second-order slots start at a share of a mean."""
    layer = model.get_layer("hidden")
    if operation == "deepen":
        old = {id(v) for v in model.trainable_variables}
        means = {
            len(v.shape): float(np.mean(slot))
            for v, slot in second_order(model)
            if any(v is one for one in layer.trainable_variables)
        }
        deepen(model, "hidden", seed=seed)
        for variable, slot in second_order(model):
            if id(variable) not in old:
                mean = means.get(len(variable.shape), max(means.values()))
                start = FILLS[fill] * mean
                slot.assign(np.full(slot.shape, start, "float32"))
        return
    graph = surgery.ChannelGraph(model)
    width = 24 if hasattr(layer, "filters") else 64
    plan = plan_widen(graph, "hidden", to=width, seed=seed).plan
    original = plan.map

    def filled(variable: Any, array: np.ndarray, kind: str) -> np.ndarray:
        new = original(variable, array, kind)
        is_new = original(variable, np.zeros(array.shape, bool), "index")
        if kind != "gradient2" or not is_new.any():
            return new
        start = FILLS[fill] * _mean_of_old(new, is_new)
        return np.where(is_new, start, new).astype(new.dtype)

    plan.map = filled  # type: ignore[method-assign]
    apply_plan(model, graph, plan)


def _mean_of_old(array: np.ndarray, is_new: np.ndarray) -> np.ndarray:
    """Means over the old units, along the axis that has got new ones."""
    axes = range(array.ndim)
    whole = [is_new.all(axis=tuple(set(axes) - {axis})) for axis in axes]
    axis = next(axis for axis in axes if whole[axis].any())
    old = np.compress(~whole[axis], array, axis=axis)
    mean: np.ndarray = old.mean(axis=axis, keepdims=True)
    return mean


def second_order(model: Any) -> list[tuple[Any, Any]]:
    """Lists the second-order slots with their variables."""
    optimizer = model.optimizer
    return [
        (variable, slot)
        for name, kind in slot_kinds.find_slot_kinds(optimizer).items()
        if kind == slot_kinds.GRADIENT2
        for variable, slot in zip(
            optimizer._trainable_variables,
            getattr(optimizer, name, ()),
            strict=False,
        )
    ]


def train(model: Any, batches: Any, test: Any) -> dict[str, float]:
    """Trains and returns losses and accuracy."""
    probe = test[0][:256]
    before = np.asarray(model.predict_on_batch(probe))
    losses, step = [], 0.0
    for k, (x, y) in enumerate(batches):
        model.reset_metrics()
        losses.append(float(model.train_on_batch(x, y)[0]))
        if k == 0:
            after = np.asarray(model.predict_on_batch(probe))
            step = float(np.linalg.norm(after - before))
    accuracy = float(model.evaluate(*test, batch_size=500, verbose=0)[1])
    return {
        "step": step,
        "early": float(np.mean(losses[1:EARLY])),
        "late": float(np.mean(losses[-50:])),
        "accuracy": accuracy,
    }


if __name__ == "__main__":
    main()
