"""All arms on Fashion-MNIST with wrong labels and with clean labels.

Run with `python -m benchmarks.curriculum.noise`. Rows that are already in
`benchmarks/results/curriculum_noise.json` are kept; `--fresh` measures all.
`--whole` trains some arms on all images that are not held out and writes to
another file. `--limit 1` is a short trial that writes nothing.
"""

import argparse
import time
import warnings
from typing import Any

import numpy as np

from benchmarks.curriculum import arms, data
from benchmarks.records import Records
from keras_netopt.curriculum import sample_losses
from keras_netopt.curriculum.train_arm import train_arm
from keras_netopt.training import NotIntendedUseWarning

NAME = "curriculum_noise"
EPOCHS = 20
BATCH = 128
SEEDS = {"redrawn": 3, "flipped": 3, "clean": 5}
SETTINGS = {
    "data": "Fashion-MNIST, 10,000 train, 10,000 clean test",
    "network": f"CNN {data.FILTERS} 3x3 of stride 2, dense {data.UNITS}",
    "optimizer": "Adam 1e-3",
    "batch": BATCH,
    "epochs": EPOCHS,
    "noises": data.NOISES,
    "scores": "loss of the same network, 8 epochs on 5,000 held-out samples "
    "with labels that are wrong as often",
    "pacing": "linear from 0.2 to all at half of the fit",
}


WHOLE = f"{NAME}_whole"
WHOLE_SAMPLES = 55_000
WHOLE_ARMS = ("shuffle", "super_quarter", "self_paced_super")
WHOLE_SETTINGS = {
    **SETTINGS,
    "data": "Fashion-MNIST, 55,000 train, 10,000 clean test",
}


def wrong_shares(counts: np.ndarray, wrong: np.ndarray) -> list[float]:
    """Returns the share of wrong labels in the batches of each epoch."""
    totals = counts.sum(axis=1, dtype="float64")
    shares = counts[:, wrong].sum(axis=1) / totals
    return [round(float(share), 4) for share in shares]


def main() -> None:
    """Measures every missing row."""
    options = _parse()
    # Some arms never train on the hardest samples at the end, as intended.
    warnings.simplefilter("ignore", NotIntendedUseWarning)
    if options.limit:
        _trial()
        return
    samples, arguments = data.SAMPLES, (NAME, SETTINGS)
    if options.whole:
        samples, arguments = WHOLE_SAMPLES, (WHOLE, WHOLE_SETTINGS)
    records = Records(*arguments, fresh=options.fresh)
    chosen = options.arms or list(WHOLE_ARMS if options.whole else arms.ARMS)
    for noise in options.noises:
        for seed in range(options.seeds or SEEDS[noise]):
            names = [
                name
                for name in chosen
                if not records.find(noise=noise, arm=name, seed=seed)
            ]
            if names:
                measure(records, noise, seed, names, samples)


def measure(
    records: Records, noise: str, seed: int, names: list[str], samples: int
) -> None:
    """Measures arms with the same data and scores."""
    task = data.load(noise, seed, samples)
    scores = _scores(task, seed)
    for name in names:
        row = train(task, scores, name, seed, EPOCHS)
        records.add({"noise": noise, "arm": name, "seed": seed, **row})
        print(
            f"{noise} {name} seed {seed}: {row['accuracy'][-1]:.4f} "
            f"({row['seconds']} s)",
            flush=True,
        )


def train(
    task: data.Task, scores: np.ndarray, name: str, seed: int, epochs: int
) -> dict[str, Any]:
    """Trains one arm and returns its row."""
    begin = time.perf_counter()
    logs, session = train_arm(
        arms.ARMS[name].make(scores),
        data.build,
        task.x,
        task.y,
        seed=seed,
        epochs=epochs,
        batch_size=BATCH,
        validation_data=task.test,
    )
    seconds = time.perf_counter() - begin
    row = {
        "accuracy": [round(a, 4) for a in logs["val_accuracy"]],
        "wrong": wrong_shares(session.counts_by_epoch()[1], task.wrong),
        "coverage": round(min(logs.get("curriculum_class_coverage", [1.0])), 3),
        "steps": int(session.data.steps or 0) * epochs,
        "seconds": round(seconds, 1),
    }
    if "backward_fraction" in logs:
        row["backward"] = round(float(np.mean(logs["backward_fraction"])), 3)
    return row


def _scores(task: data.Task, seed: int) -> np.ndarray:
    return sample_losses(data.held_out_model(task, seed), task.x, task.y)


def _trial() -> None:
    task = data.load("redrawn", 0, samples=1000)
    scores = np.random.default_rng(0).random(len(task.x))
    for name in arms.ARMS:
        print(name, train(task, scores, name, 0, 2))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--limit", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=0)
    parser.add_argument("--whole", action="store_true")
    parser.add_argument("--arms", nargs="+", choices=arms.ARMS)
    parser.add_argument("--noises", nargs="+", default=list(data.NOISES))
    return parser.parse_args()


if __name__ == "__main__":
    main()
