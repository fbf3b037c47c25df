"""One fit that searches, against random search and a network by hand.

Fashion-MNIST at 14 x 14 pixels; six choices of four operations, 4,096 networks,
half of the largest network's MACs allowed. The search is one `fit`
of the supernet. Each network that is compared is trained from scratch by one
recipe: the found one, random ones until they have used as much compute as the
search with the training of its result, and one made by hand with the MACs of
the found one. Random networks also tell how the accuracy with inherited
weights ranks them.
"""

import argparse
import functools
import itertools
import math
import time
from collections.abc import Callable
from typing import Any

import keras
from keras import layers

import keras_netopt as netopt
from benchmarks.nas.fashion import Split, load
from benchmarks.records import Records
from keras_netopt.search.supernet.architecture import (
    read_architecture,
    sample_architectures,
)
from keras_netopt.search.supernet.cost import architecture_macs
from keras_netopt.search.supernet.evaluate_subnets import evaluate_subnets

SETTINGS: dict[str, Any] = {
    "images": 8_000,
    "epochs": 8,
    "supernet_epochs": 24,
    "batch": 64,
    "learning_rate": 0.05,
    "supernet_batch": 32,
    "supernet_learning_rate": 0.025,
    "weight_decay": 3e-4,
    "limit": 0.5,
    "evaluations": 1_000,
    "ranking_images": 256,
    "networks": 12,
}
SEEDS = 3
WIDTHS = (16, 32)
BLOCKS = 3
LARGEST = 3  # Position of the most expensive operation.
BACKWARD = 3.0  # A training step costs three forward passes.


def conv(
    filters: int, kernel: int = 3, strides: int = 1, name: str = ""
) -> Any:
    """Returns a convolution with batch normalization and ReLU."""
    return keras.Sequential(
        [
            layers.Conv2D(
                filters,
                kernel,
                strides=strides,
                padding="same",
                use_bias=False,
            ),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
        ],
        name=name or None,
    )


def candidates(filters: int, place: str = "") -> list[Any]:
    """Returns the four operations of a choice."""
    return [
        layers.Identity(name=f"{place}skip"),
        layers.MaxPooling2D(3, 1, "same", name=f"{place}pool"),
        conv(filters, 1, name=f"{place}conv1"),
        conv(filters, 3, name=f"{place}conv3"),
    ]


def build(
    block: Callable[[int, str], Any], widths: tuple[int, ...] = WIDTHS
) -> keras.Model:
    """Builds the network whose places are filled by `block`."""
    inputs = keras.Input((14, 14, 1))
    x = conv(widths[0])(inputs)
    for stage, width in enumerate(widths):
        if stage:
            x = conv(width, 3, 2)(x)
        for index in range(BLOCKS):
            x = block(width, f"stage{stage + 1}_block{index + 1}")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(10, name="classes")(x))


def supernet(seed: int) -> keras.Model:
    """Builds the network with a choice at each place."""

    def block(width: int, name: str) -> Any:
        return netopt.layers.Choice(candidates(width), seed=seed, name=name)

    return build(block)


def fixed(architecture: dict[str, int]) -> keras.Model:
    """Builds one network of the space with new weights."""

    def block(width: int, name: str) -> Any:
        return candidates(width, f"{name}_")[architecture[name]]

    return build(block)


def by_hand(macs: float) -> keras.Model:
    """Builds 3 x 3 convolutions at all places, as wide as `macs` allow."""
    fitting = keras.Model()
    for width in range(2, 17):
        model = build(lambda w, name: conv(w, 3), (width, 2 * width))
        if count(model) > macs:
            break
        fitting = model
    return fitting


def count(model: keras.Model) -> int:
    """Returns the MACs of one image."""
    return int(netopt.cost.summarize(model).macs)


def prepare(model: keras.Model, epochs: int, part: str = "") -> dict[str, Any]:
    """Compiles for a fit of so many epochs and returns its arguments."""
    batch = SETTINGS[f"{part}batch"]
    steps = epochs * math.ceil(SETTINGS["images"] / batch)
    rate = keras.optimizers.schedules.CosineDecay(
        SETTINGS[f"{part}learning_rate"], steps
    )
    model.compile(
        keras.optimizers.SGD(
            rate, momentum=0.9, weight_decay=SETTINGS["weight_decay"]
        ),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return {"batch_size": batch, "epochs": epochs, "verbose": 0}


class Study:
    """The arms of one seed; every row is written once it is measured."""

    def __init__(self, records: Records, seed: int) -> None:
        self.records, self.seed = records, seed
        self.train, self.valid, self.test = load(SETTINGS["images"])

    def run(self) -> None:
        """Runs the arms that are missing."""
        found = self.search()
        self.scratch("found", lambda: fixed(found["architecture"]))
        self.scratch("by hand", lambda: by_hand(found["macs"]["found"]))
        largest = {name: LARGEST for name in found["architecture"]}
        self.scratch("largest", lambda: fixed(largest))
        for index, one in enumerate(found["networks"]):
            self.scratch(f"random {index}", functools.partial(fixed, one))

    def search(self) -> dict[str, Any]:
        """One fit of the supernet."""
        row = self.records.find(seed=self.seed, arm="search")
        if row is not None:
            return row
        keras.utils.set_random_seed(self.seed)
        model = supernet(self.seed)
        fit = prepare(model, SETTINGS["supernet_epochs"], "supernet_")
        biggest = {name: LARGEST for name in read_architecture(model)}
        largest = architecture_macs(model, biggest)
        images = SETTINGS["ranking_images"]
        limit = int(SETTINGS["limit"] * largest)
        ranking = Split(self.valid.x[:images], self.valid.y[:images])
        search = netopt.callbacks.ArchitectureSearch(
            constraints=netopt.search.MaxMACs(limit),
            evaluations=SETTINGS["evaluations"],
            validation_data=ranking,
            seed=self.seed,
        )
        begun = time.process_time()
        model.fit(*self.train, callbacks=[search], **fit)
        seconds = time.process_time() - begun
        report = search.report()
        print(report, flush=True)
        networks = self.sample(model, limit)
        inherited = evaluate_subnets(
            model,
            networks,
            *self.valid,
            calibration_data=self.train.x,
        )
        small = netopt.search.extract(
            model, calibration_data=self.train.x[:640]
        )
        prepare(small, 1)
        facts = report.to_dict()
        row = {
            "seed": self.seed,
            "arm": "search",
            "architecture": facts["architecture"],
            "choices": facts["choices"],
            "macs": facts["macs"],
            "evaluations": facts["evaluations"],
            "space": facts["space"],
            "search_macs": facts["search_macs"],
            "one_training": self.training_macs(largest),
            "spearman_params": facts["spearman_params"],
            "controls": facts["controls"],
            "value": facts["value"],
            "inherited_test": small.evaluate(*self.test, verbose=0)[1],
            "cpu_seconds": seconds,
            "networks": networks,
            "inherited": [one["accuracy"] for one in inherited],
        }
        self.records.add(row)
        return row

    def sample(self, model: keras.Model, limit: int) -> list[dict[str, int]]:
        """Draws different random networks below the limit."""
        kept: list[dict[str, int]] = []
        for seed in itertools.count(1_000 * (self.seed + 1)):
            (one,) = sample_architectures(model, 1, seed)
            if one not in kept and architecture_macs(model, one) <= limit:
                kept.append(one)
            if len(kept) == SETTINGS["networks"]:
                return kept
        return kept

    def training_macs(self, macs: float) -> float:
        """Returns the MACs of one training by the recipe."""
        return macs * BACKWARD * SETTINGS["images"] * SETTINGS["epochs"]

    def scratch(self, arm: str, make: Callable[[], keras.Model]) -> None:
        """Trains one network from scratch by the recipe."""
        if self.records.find(seed=self.seed, arm=arm) is not None:
            return
        keras.utils.set_random_seed(self.seed)
        model = make()
        model.fit(*self.train, **prepare(model, SETTINGS["epochs"]))
        row = {
            "seed": self.seed,
            "arm": arm,
            "macs": count(model),
            "params": model.count_params(),
            "training_macs": self.training_macs(count(model)),
            "validation": model.evaluate(*self.valid, verbose=0)[1],
            "test": model.evaluate(*self.test, verbose=0)[1],
        }
        print(row, flush=True)
        self.records.add(row)
        keras.backend.clear_session()


def main() -> None:
    """Runs all seeds; `--fresh` measures again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--fresh", action="store_true")
    given = parser.parse_args()
    records = Records("nas_one_shot", SETTINGS, fresh=given.fresh)
    for seed in range(given.seeds):
        Study(records, seed).run()


if __name__ == "__main__":
    main()
