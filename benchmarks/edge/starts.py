"""Data and starting points: one trained network for all arms of a seed.

`python -m benchmarks.edge.starts` trains all of them.
"""

import argparse
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.edge import networks
from benchmarks.edge.speech import FOLDER, load_speech

VALIDATION = 2000  # Training images that choose, but do not train.
FURTHER = 1000  # Added to the seed of the arms' fits.

Split = tuple[np.ndarray, np.ndarray]


@dataclass
class Bench:
    """Data and starting points of one network.

    Args:
        kind: A key of `networks.SETTINGS`.
    """

    kind: str
    setting: networks.Setting = field(init=False)
    train_data: Split = field(init=False)
    validation_data: Split = field(init=False)
    test_data: Split = field(init=False)

    def __post_init__(self) -> None:
        self.setting = networks.SETTINGS[self.kind]
        if self.setting.data == "speech":
            parts = load_speech()
        else:
            parts = load_images(self.setting.data, self.setting.samples)
        self.train_data, self.validation_data, self.test_data = parts

    def start(self, seed: int) -> Any:
        """Returns the trained network, with a new optimizer."""
        import keras

        path = FOLDER / f"{self.kind}-{seed}.keras"
        if not path.exists():
            FOLDER.mkdir(parents=True, exist_ok=True)
            keras.utils.set_random_seed(seed)
            model = networks.build(self.kind)
            networks.compile_model(model, self.rate(self.setting.epochs))
            model.fit(
                batches(self.train_data, seed),
                shuffle=False,
                epochs=self.setting.epochs,
                verbose=0,
            )
            model.save(path)
        model = keras.saving.load_model(path)
        networks.compile_model(model, self.rate(self.setting.arm_epochs))
        return model

    def rate(self, epochs: int, factor: float = 1.0) -> Any:
        """Returns the learning rate of a fit: a cosine down to 2 %."""
        import keras

        steps = -(-len(self.train_data[0]) // networks.BATCH) * epochs
        return keras.optimizers.schedules.CosineDecay(
            factor * self.setting.rate, steps, alpha=0.02
        )

    def train(
        self,
        model: Any,
        seed: int,
        epochs: int,
        callbacks: list[Any] | None = None,
        *,
        rate: float = 1.0,
    ) -> None:
        """Trains an arm, with a new optimizer and cosine.

        The order of the samples depends on TensorFlow's global seed, too.
        """
        import keras

        keras.utils.set_random_seed(FURTHER + seed)
        networks.compile_model(model, self.rate(epochs, rate))
        model.fit(
            batches(self.train_data, FURTHER + seed),
            shuffle=False,
            epochs=epochs,
            callbacks=callbacks or [],
            verbose=0,
        )

    def accuracy(self, model: Any) -> float:
        """Returns the accuracy of a Keras model on the test data."""
        found = model.evaluate(
            *self.test_data, batch_size=500, verbose=0, return_dict=True
        )
        return round(found["accuracy"], 4)


def load_images(name: str, samples: int) -> tuple[Split, Split, Split]:
    """Returns Fashion-MNIST to train, to validate and to test.

    Args:
        name: `data` of a setting.
        samples: Number of training images; the next ones validate.
    """
    import keras

    (x, y), test = keras.datasets.fashion_mnist.load_data()
    end = samples + VALIDATION
    parts = (
        (x[:samples], y[:samples]),
        (x[samples:end], y[samples:end]),
        test,
    )
    train, validation, test = (
        (_shape(x, name), y.astype("int32")) for x, y in parts
    )
    return train, validation, test


def _shape(x: np.ndarray, name: str) -> np.ndarray:
    if name == "pixels":
        return x.reshape(-1, 784).astype("float32") / 255
    if name == "images-28":
        return x[..., None].astype("float32") / 255
    return enlarge(x)[..., None]


def enlarge(x: np.ndarray, size: int = 48) -> np.ndarray:
    """Returns images in [0, 1], enlarged with bilinear interpolation.

    Args:
        x: Square uint8 images, shape `(images, side, side)`.
        size: The new side.
    """
    side = x.shape[1]
    at = np.clip((np.arange(size) + 0.5) * side / size - 0.5, 0, side - 1)
    low = np.minimum(at.astype(int), side - 2)
    weights = np.zeros((size, side), "float32")
    weights[np.arange(size), low] = 1 - (at - low)
    weights[np.arange(size), low + 1] += at - low
    return weights @ (x.astype("float32") / 255) @ weights.T


def batches(data: Split, seed: int) -> Any:
    """Returns batches in a new order every epoch.

    After `set_random_seed` TensorFlow shuffles arrays to one and the same
    order in every epoch, so arrays are not given to `fit`.
    """
    import tensorflow as tf

    x, y = (tf.constant(array) for array in data)
    order = tf.data.Dataset.range(len(x)).shuffle(len(x), seed=seed)
    return order.batch(networks.BATCH).map(
        lambda i: (tf.gather(x, i), tf.gather(y, i))
    )


def main() -> None:
    """Trains the missing starting points and prints their accuracy."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--settings", nargs="+", default=list(networks.SETTINGS)
    )
    options = parser.parse_args()
    for seed in range(options.seeds):
        for kind in options.settings:
            begin = time.process_time()
            bench = Bench(kind)
            accuracy = bench.accuracy(bench.start(seed))
            seconds = time.process_time() - begin
            print(kind, seed, accuracy, f"{seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
