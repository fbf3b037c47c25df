"""Lottery tickets against their control arms and the dense network.

Run with `KERAS_BACKEND=jax python -m benchmarks.sparse_training.tickets`. Rows
that are already in the JSON are kept; `--fresh` measures all.
"""

import argparse
from typing import Any

import keras
import numpy as np

from benchmarks.records import Records
from keras_netopt.callbacks import LotteryTicket

NAME = "sparse_training_tickets"
TRAINED, EPOCHS, BATCH = 20_000, 5, 128
SEARCHES = {"iterative": 4, "one shot": 1}  # Rounds.
CONTROLS = (None, "reinit", "shuffle_mask")
OPTIMIZERS = {
    "Adam 1e-3": lambda: keras.optimizers.Adam(1e-3),
    "SGD .1, momentum .9": lambda: keras.optimizers.SGD(0.1, momentum=0.9),
}
SETTINGS = {
    "data": f"Fashion-MNIST, {TRAINED:,} images, pixels / 255",
    "network": "784-300-100-10, ReLU, no normalization",
    "rounds": SEARCHES,
    "epochs of a round": EPOCHS,
    "batch": BATCH,
    "test": "10,000 images after the last epoch of each round",
}


def main() -> None:
    """Measures every missing row."""
    options = _parse()
    records = Records(NAME, SETTINGS, fresh=options.fresh)
    data = load_data()
    for sparsity in options.sparsities:
        for seed in range(options.seeds):
            for optimizer in OPTIMIZERS:
                for search in SEARCHES:
                    for control in CONTROLS:
                        key = {
                            "optimizer": optimizer,
                            "search": search,
                            "sparsity": sparsity,
                            "control": control or "ticket",
                            "seed": seed,
                        }
                        if not records.find(**key):
                            found = measure(data, **key)
                            records.add({**key, **found})
                            print(records.rows[-1], flush=True)


def load_data() -> Any:
    """Returns training and test data."""
    train, test = keras.datasets.fashion_mnist.load_data()
    return [
        (x.reshape(-1, 784).astype("float32") / 255, y.astype("int32"))
        for x, y in ((train[0][:TRAINED], train[1][:TRAINED]), test)
    ]


def build(optimizer: str) -> keras.Model:
    """Returns the compiled network."""
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((784,)),
            layers.Dense(300, activation="relu"),
            layers.Dense(100, activation="relu"),
            layers.Dense(10),
        ]
    )
    model.compile(
        OPTIMIZERS[optimizer](),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def measure(
    data: Any,
    *,
    optimizer: str,
    search: str,
    sparsity: float,
    control: str,
    seed: int,
) -> dict[str, Any]:
    """Trains one arm and returns the test accuracy of each round."""
    (x, y), test = data
    keras.utils.set_random_seed(seed)
    model = build(optimizer)
    rounds = SEARCHES[search]
    ticket = LotteryTicket(
        rounds,
        1 - (1 - sparsity) ** (1 / rounds),
        control=None if control == "ticket" else control,
        seed=seed,
    )
    model.fit(
        x,
        y,
        batch_size=BATCH,
        epochs=EPOCHS * (rounds + 1),
        validation_data=test,
        validation_batch_size=1000,
        validation_freq=EPOCHS,
        verbose=0,
        callbacks=[ticket],
    )
    kept = [np.count_nonzero(layer.kernel) for layer in model.layers]
    return {
        "accuracies": [
            round(one.metrics["val_accuracy"], 4)
            for one in ticket.finished_rounds
        ],
        "sparsities": [
            round(one.sparsity, 4) for one in ticket.finished_rounds
        ],
        "kept": [int(count) for count in kept],
    }


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--sparsities", nargs="+", type=float, default=[0.95])
    return parser.parse_args()


if __name__ == "__main__":
    main()
