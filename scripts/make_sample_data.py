"""Draws the embedded Fashion-MNIST sample from the full set.

`python scripts/make_sample_data.py` writes the file, `--check` compares it.
The full set is downloaded by Keras on first use (30 MB).
"""

import argparse
import sys
from pathlib import Path

import numpy as np

TARGET = (
    Path(__file__).resolve().parent.parent
    / "keras_netopt/data/fashion_mnist_sample.npz"
)
SEED = 20171
TRAIN_PER_CLASS = 600
TEST_PER_CLASS = 100


def main() -> int:
    """Returns 0 unless `--check` finds another sample in the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    sample = draw_sample()
    if not check:
        np.savez_compressed(TARGET, **sample)
        print(f"Wrote {TARGET} ({TARGET.stat().st_size:,} bytes)")
        return 0
    with np.load(TARGET) as stored:
        same = set(stored) == set(sample) and all(
            np.array_equal(stored[name], sample[name]) for name in sample
        )
    print("The sample is current." if same else "The sample differs.")
    return 0 if same else 1


def draw_sample() -> dict[str, np.ndarray]:
    """Draws both parts; held-out images come from the original test set."""
    import keras

    train, test = keras.datasets.fashion_mnist.load_data()
    rng = np.random.default_rng(SEED)
    x_train, y_train = draw_balanced(*train, TRAIN_PER_CLASS, rng)
    x_test, y_test = draw_balanced(*test, TEST_PER_CLASS, rng)
    return {
        "x_train": x_train,
        "y_train": y_train,
        "x_test": x_test,
        "y_test": y_test,
    }


def draw_balanced(
    x: np.ndarray, y: np.ndarray, per_class: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draws the same number of samples of each class, in random order."""
    chosen = np.concatenate(
        [
            rng.choice(np.flatnonzero(y == label), per_class, replace=False)
            for label in np.unique(y)
        ]
    )
    rng.shuffle(chosen)
    return x[chosen], y[chosen]


if __name__ == "__main__":
    sys.exit(main())
