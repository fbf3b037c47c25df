"""Networks of an elastic supernet against the same networks trained alone.

Run with `python -m benchmarks.nas.elastic`. Rows that are already in
`benchmarks/results/nas_elastic.json` are kept; `--fresh` measures all. Set
`KERAS_BACKEND=tensorflow`. Compute is counted in training MACs: 3 x samples x
MACs of what a step computes; a supernet computes all units and kernel
positions, and the blocks up to the sampled depth.
"""

import argparse
import dataclasses
import math
from typing import Any

import keras

from benchmarks.nas import fashion
from benchmarks.nas.elastic_tables import ARMS, NAME
from benchmarks.records import Records
from keras_netopt import cost, layers
from keras_netopt.search import evaluate_subnets, extract
from keras_netopt.search.supernet.architecture import sample_architectures
from keras_netopt.search.supernet.cost import architecture_macs
from keras_netopt.search.supernet.searchable_layer import find_decisions
from keras_netopt.search.supernet.shrinking import (
    apply_stage,
    find_stage,
    plan_stages,
)

TRAIN, BATCH, RATE = 4_000, 64, 0.05
EPOCHS = {"supernet": 20, "alone": 8}
STREAM, WIDTHS, SIZES, BLOCKS = 8, (4, 8, 16), (3, 5), 3
SUBNETS = 6


def main() -> None:
    """Measures every missing row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--arms", nargs="+", default=["alone", *ARMS])
    options = parser.parse_args()
    records = Records(NAME, _settings(), fresh=options.fresh)
    train, _, test = fashion.load(TRAIN)
    for seed in range(options.seeds):
        for arm in options.arms:
            if records.find(arm=arm, seed=seed):
                continue
            measure = train_alone if arm == "alone" else train_supernet
            row = {"arm": arm, "seed": seed, **measure(arm, seed, train, test)}
            records.add(row)
            print(row, flush=True)


def supernet() -> keras.Model:
    """Three residual blocks of elastic width and kernel, elastic depth."""
    inputs = keras.Input((14, 14, 1))
    x = keras.layers.Conv2D(STREAM, 3, strides=2, padding="same")(inputs)
    x = keras.layers.ReLU()(_norm()(x))
    stack = [_block(k) for k in range(BLOCKS)]
    x = layers.ElasticDepth(stack, name="stack")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(10)(x))


def architectures(model: keras.Model) -> list[dict[str, int]]:
    """Returns the smallest and largest network, and four between them."""
    found = find_decisions(model)
    largest = {name: len(d.options) - 1 for name, d in found.items()}
    drawn = sample_architectures(model, 40, seed=0)
    drawn.sort(key=lambda one: architecture_macs(model, one))
    between = [drawn[round(k * 39 / 5)] for k in range(1, SUBNETS - 1)]
    return [dict.fromkeys(found, 0), *between, largest]


def train_alone(
    arm: str, seed: int, train: fashion.Split, test: fashion.Split
) -> dict[str, Any]:
    """Trains each network from scratch."""
    source = _build(seed)
    accuracies, macs = [], []
    for architecture in architectures(source):
        keras.utils.set_random_seed(seed)
        model = keras.models.clone_model(extract(source, architecture))
        _compile(model)
        epochs = EPOCHS["alone"]
        _fit(model, train, epochs, [_Rate(epochs)])
        accuracies.append(_accuracy(model, test))
        macs.append(cost.summarize(model).macs)
        keras.backend.clear_session()
    return {
        "accuracies": accuracies,
        "macs": macs,
        "training_macs": 3 * TRAIN * EPOCHS["alone"] * sum(macs),
    }


def train_supernet(
    arm: str, seed: int, train: fashion.Split, test: fashion.Split
) -> dict[str, Any]:
    """Trains all networks at once, and evaluates some."""
    model = _build(seed)
    epochs = EPOCHS["supernet"] * (2 if arm == "long" else 1)
    _compile(model)
    plan = _Plan(arm, epochs)
    stages = len(plan.stages(model)) if arm == "restarts" else 1
    _fit(model, train, epochs, [plan, _Rate(epochs, stages)])
    found = architectures(model)
    rows = evaluate_subnets(
        model,
        found,
        test.x,
        test.y,
        calibration_data=train.x[:1_000],
        batches=2,
        batch_size=500,
    )
    return {
        "accuracies": [round(row["accuracy"], 4) for row in rows],
        "macs": [architecture_macs(model, one) for one in found],
        "training_macs": 3 * TRAIN * sum(plan.macs),
        "networks": math.prod(
            len(d.options) for d in find_decisions(model).values()
        ),
    }


class _Plan(keras.callbacks.Callback):
    """Samples networks as an arm says, and counts the MACs of a sample."""

    def __init__(self, arm: str, epochs: int) -> None:
        super().__init__()
        self.arm, self.epochs = arm, epochs
        self.macs: list[float] = []
        self._stage = -1

    def stages(self, model: keras.Model) -> list[Any]:
        """Returns the stages of the arm, none without shrinking."""
        if self.arm not in _SHRINKING:
            return []
        return plan_stages(model, gradual=self.arm == "gradual")

    def on_train_begin(self, logs: Any = None) -> None:
        """Called by Keras."""
        mode = "sandwich" if self.arm in ("sandwich", "long") else "uniform"
        for decision in find_decisions(self.model).values():
            decision.set_mode(mode)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Called by Keras; begins a stage, and adds the cost of an epoch."""
        stages = self.stages(self.model)
        if stages:
            now = find_stage(len(stages), epoch / self.epochs)
            if now != self._stage:
                stage, self._stage = stages[now], now
                sorts = stage.sorts and self.arm != "unsorted"
                apply_stage(self.model, dataclasses.replace(stage, sorts=sorts))
        self.macs.append(_mean_macs(self.model))


class _Rate(keras.callbacks.Callback):
    """Cosine decay of the learning rate to 0, as often as there are stages."""

    def __init__(self, epochs: int, stages: int = 1) -> None:
        super().__init__()
        self.epochs, self.stages = epochs, stages

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Called by Keras."""
        share = (epoch / self.epochs * self.stages) % 1.0
        rate = RATE * 0.5 * (1.0 + math.cos(math.pi * share))
        self.model.optimizer.learning_rate = max(rate, RATE * 1e-3)


_SHRINKING = ("shrinking", "restarts", "gradual", "unsorted")


def _mean_macs(model: keras.Model) -> float:
    """Mean MACs of one sample in a step of the supernet."""
    found = find_decisions(model)
    stack = model.get_layer("stack")
    largest = {name: len(d.options) - 1 for name, d in found.items()}
    without = [
        architecture_macs(model, {**largest, "stack": k})
        for k in range(len(stack.options))
    ]
    rates = list(stack.netopt_execution_rates(True).values())
    blocks = [b - a for a, b in zip(without, without[1:], strict=False)]
    return without[-1] - sum(
        (1.0 - rate) * macs
        for rate, macs in zip(rates[1:], blocks, strict=True)
    )


def _build(seed: int) -> keras.Model:
    keras.utils.set_random_seed(seed)
    return supernet()


def _block(number: int) -> keras.Model:
    inputs = keras.Input((7, 7, STREAM))
    x = layers.ElasticConv2D(
        WIDTHS[-1],
        SIZES[-1],
        WIDTHS,
        SIZES,
        activation="relu",
        normalization=_norm(),
        name=f"conv{number}",
    )(inputs)
    x = keras.layers.Conv2D(STREAM, 3, padding="same")(x)
    outputs = keras.layers.Add()([inputs, _norm()(x)])
    return keras.Model(inputs, outputs, name=f"block{number}")


def _norm() -> keras.layers.BatchNormalization:
    return keras.layers.BatchNormalization(momentum=0.9)


def _compile(model: keras.Model) -> None:
    model.compile(
        keras.optimizers.SGD(RATE, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=False,
    )


def _fit(
    model: keras.Model, train: fashion.Split, epochs: int, callbacks: list[Any]
) -> None:
    model.fit(
        train.x,
        train.y,
        batch_size=BATCH,
        epochs=epochs,
        callbacks=callbacks,
        verbose=0,
    )


def _accuracy(model: keras.Model, test: fashion.Split) -> float:
    found = model.evaluate(
        test.x, test.y, batch_size=500, verbose=0, return_dict=True
    )
    return round(found["accuracy"], 4)


def _settings() -> dict[str, Any]:
    return {
        "data": "Fashion-MNIST, 14 x 14",
        "train": TRAIN,
        "batch": BATCH,
        "rate": RATE,
        "epochs": EPOCHS,
        "stream": STREAM,
        "widths": WIDTHS,
        "kernel_sizes": SIZES,
        "blocks": BLOCKS,
    }


if __name__ == "__main__":
    main()
