"""Compound scaling: growth of the MACs, and one factor against three.

Run with `KERAS_BACKEND=torch python -m benchmarks.nas.compound`. Rows that
are there are kept; `--fresh` measures all, `--limit 64` trains every arm with
so many images and writes nothing.
"""

import argparse
import dataclasses
import functools
from typing import Any

import keras

from benchmarks.records import Records
from keras_netopt import cost, search
from keras_netopt.search import spaces

NAME = "nas_compound"
IMAGES, HELD_OUT, EPOCHS, BATCH = 2_000, 2_000, 4, 50
RESOLUTION, PHI = 10, 2
SETTINGS = {
    "images": IMAGES,
    "held_out": HELD_OUT,
    "epochs": EPOCHS,
    "batch": BATCH,
    "resolution": RESOLUTION,
    "phi": PHI,
}
# alpha, beta and gamma, and phi.
ARMS = {
    "base": ((1.2, 1.1, 1.15), 0),
    "depth": ((2.0, 1.0, 1.0), PHI),
    "width": ((1.0, 2**0.5, 1.0), PHI),
    "resolution": ((1.0, 1.0, 2**0.5), PHI),
    "compound": ((1.2, 1.1, 1.15), PHI),
}
GROWN = {
    "ResNet, 32 channels, 64x64": lambda: spaces.resnet(
        (64, 64, 3), 10, blocks=2, width=32
    ),
    "ResNet, 16 channels, 28x28": lambda: spaces.resnet(
        (28, 28, 1), 10, blocks=1, width=16
    ),
    "MobileNet, 16 channels, 224x224": lambda: spaces.mobilenet(
        (224, 224, 3), 10, stages=4, blocks=2, width=16
    ),
}


def main() -> None:
    """Measures every missing row."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--limit", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    if options.limit:
        for arm in ARMS:
            print(arm, train(arm, 0, options.limit))
        return
    records = Records(NAME, SETTINGS, fresh=options.fresh)
    for seed in range(options.seeds):
        for arm in ARMS:
            if not records.find(arm=arm, seed=seed):
                row = train(arm, seed, IMAGES)
                records.add({"arm": arm, "seed": seed, **row})
                print(arm, seed, row, flush=True)
    for network, make in GROWN.items():
        for phi in range(1, 5):
            if not records.find(network=network, phi=phi):
                row = grow(make(), phi)
                records.add({"network": network, "phi": phi, **row})
                print(network, phi, row, flush=True)


def grow(space: spaces.Space, phi: int) -> dict[str, float]:
    """Returns the MACs in relation to 2**phi, as they are and corrected."""
    base = cost.summarize(search.compound_scale(space, 0)).macs
    found = {}
    for name, factor in (("plain", None), ("corrected", 2.0)):
        model = search.compound_scale(space, phi, macs_factor=factor)
        found[name] = round(cost.summarize(model).macs / base / 2**phi, 4)
    return found


def build(scale: Any) -> keras.Model:
    """A residual network on images resized from 28x28."""
    size = scale.size(RESOLUTION)
    space = _space(size)
    body = space.scaled(dataclasses.replace(scale, resolution=1.0, asked=set()))
    # What the body asks for depends on its own input only.
    for name, sizes in (("channels", (8, 16, 32)), ("repeats", (1,))):
        for one in sizes:
            getattr(scale, name)(one)
    resize = keras.layers.Resizing(size, size)
    return keras.Sequential([keras.Input((28, 28, 1)), resize, body])


def _space(size: int) -> spaces.Space:
    return spaces.resnet(
        (size, size, 1), 10, blocks=1, width=8, learning_rate=5e-3
    )


@functools.cache
def _scaled(arm: str) -> tuple[keras.Model, spaces.Space]:
    """The model of an arm, which every seed clones, and its space."""
    coefficients, phi = ARMS[arm]
    names = ("alpha", "beta", "gamma")
    model = search.compound_scale(
        build,
        phi,
        **dict(zip(names, coefficients, strict=True)),
        round_to=2,
        macs_factor=2.0,
    )
    return model, _space(RESOLUTION)


def train(arm: str, seed: int, images: int) -> dict[str, Any]:
    """Trains one arm at the MACs of the others."""
    (x, y), test = keras.datasets.fashion_mnist.load_data()
    x, x_test = (
        (one[..., None] / 255).astype("float32") for one in (x, test[0])
    )
    model, space = _scaled(arm)
    keras.utils.set_random_seed(seed)
    model = keras.models.clone_model(model)
    space.head.compile(model, space.learning_rate)
    first = seed * images
    model.fit(
        x[first : first + images],
        y[first : first + images],
        batch_size=BATCH,
        epochs=EPOCHS,
        verbose=0,
    )
    logs = model.evaluate(
        x_test[:HELD_OUT],
        test[1][:HELD_OUT],
        batch_size=500,
        verbose=0,
        return_dict=True,
    )
    summary = cost.summarize(model)
    return {
        "macs": summary.macs,
        "params": summary.params,
        "resolution": int(model.layers[0].output.shape[1]),
        "accuracy": round(float(logs["accuracy"]), 4),
    }


if __name__ == "__main__":
    main()
