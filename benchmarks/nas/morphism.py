"""Network morphism search against evolution with training from scratch.

Run with `KERAS_BACKEND=tensorflow python -m benchmarks.nas.morphism`. Rows that
are already in `benchmarks/results/nas_morphism.json` are kept; `--fresh`
measures all. Compute is counted in training MACs: 3 x samples x MACs of the
network. Networks are chosen on validation images and judged on test images.
"""

import argparse
import os
import tempfile
import time
from typing import Any

os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")

import keras
from keras import layers

from benchmarks.growing.models import shuffled
from benchmarks.nas.fashion import Split, load
from benchmarks.records import Records
from keras_netopt import cost, search
from keras_netopt.search.morphism.cosine_restart import CosineRestart
from keras_netopt.search.morphism.epoch_log import EpochLog

NAME = "nas_morphism"
IMAGES = 4_000
WIDTHS = (8, 8, 8)
RATE = 3e-3
MAX_MACS = 250_000
EPOCHS = 4  # Per child that inherits.
SCRATCH_EPOCHS = 10
PARENT_EPOCHS = 10
CHILDREN = 14
POPULATION = {"population_size": 6, "sample_size": 4}
SHORT = {"epochs": EPOCHS, "max_trials": CHILDREN, **POPULATION}
LONG = {
    "epochs": SCRATCH_EPOCHS,
    "max_trials": CHILDREN,
    "inherit_weights": False,
    **POPULATION,
}
SEARCHES: dict[str, dict[str, Any]] = {
    "evolution": SHORT,
    "scratch": LONG,
    "random": {**SHORT, "sample_size": 1},
    "hill_climbing": {**SHORT, "strategy": "hill_climbing"},
    "two_epochs": {**SHORT, "epochs": 2, "max_trials": 24},
    "constant": {**SHORT, "final": 1.0},
    "scratch_short": {**LONG, "epochs": 4},
}
# Single trainings with the MACs of the search "evolution".
SINGLE = ("continued", "largest", "found")
ARMS = (
    "evolution",
    "scratch",
    "random",
    *SINGLE,
    "hill_climbing",
    "two_epochs",
    "constant",
    "scratch_short",
)
Data = tuple[Split, Split, Split]


def main() -> None:
    """Measures every missing row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--arms", nargs="+", default=list(ARMS))
    options = parser.parse_args()
    records = Records(NAME, _settings(), fresh=options.fresh)
    data = load(IMAGES)
    for seed in range(options.seeds):
        for arm in options.arms:
            if records.find(arm=arm, seed=seed):
                continue
            if arm in SINGLE:
                row = train_once(records, data, arm, seed)
            else:
                row = run_search(data, arm, seed)
            records.add({"arm": arm, "seed": seed, **row})
            print(
                f"{arm}, seed {seed}: test {row['test']:.4f} after "
                f"{row['spent'] / 1e9:.0f} G MACs ({row['seconds']:.0f} s)",
                flush=True,
            )


def build() -> keras.Model:
    """Builds the parent: three convolutions with batch normalization."""
    x = inputs = keras.Input((14, 14, 1))
    for k, width in enumerate(WIDTHS):
        x = layers.Conv2D(
            width,
            3,
            strides=1 + (k != 1),
            padding="same",
            use_bias=False,
            name=f"conv{k}",
        )(x)
        x = layers.BatchNormalization(momentum=0.9, name=f"norm{k}")(x)
        x = layers.ReLU(name=f"relu{k}")(x)
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, layers.Dense(10, name="out")(x))
    _compile(model)
    return model


def run_search(data: Data, arm: str, seed: int) -> dict[str, Any]:
    """Runs one search; the best network is chosen on validation images."""
    options = dict(SEARCHES[arm])
    epochs = options.pop("epochs")
    is_long = not options.get("inherit_weights", True)
    keras.utils.set_random_seed(seed)
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        tuner = search.Morphism(
            build(),
            constraints=[search.MaxMACs(MAX_MACS)],
            parent_epochs=epochs if is_long else PARENT_EPOCHS,
            controls=0,
            directory=folder,
            seed=seed,
            **options,
        )
        tuner.search(
            shuffled((data[0].x, data[0].y), seed),
            epochs=epochs,
            shuffle=False,
            validation_freq=epochs,
            validation_data=data[1],
            validation_batch_size=500,
            verbose=0,
        )
        seconds = time.perf_counter() - begin
        trials, spent, best = [], 0, -1.0
        for one in tuner.trials:
            spent += one.spent
            test = None
            if one.score is not None and one.score > best:
                best = one.score
                test = _test(tuner.load_model(one), data[2])
            trials.append(
                {
                    "spent": spent,
                    "validation": one.score,
                    "test": test,
                    "macs": one.macs,
                    "params": one.params,
                    "from": one.parent,
                    "title": one.title,
                    "seconds": one.seconds,
                }
            )
        largest = max(tuner.trials, key=lambda one: one.macs)
        configs = {
            "largest": tuner.load_model(largest).to_json(),
            "found": tuner.get_best_models()[0].to_json(),
        }
    chosen = [row for row in trials if row["test"] is not None][-1]
    return {
        "test": chosen["test"],
        "validation": chosen["validation"],
        "macs": chosen["macs"],
        "params": chosen["params"],
        "spent": spent,
        "seconds": round(seconds, 1),
        "trials": trials,
        "configs": configs if arm == "evolution" else {},
    }


def train_once(
    records: Records, data: Data, arm: str, seed: int
) -> dict[str, Any]:
    """Trains one network from scratch with the MACs of the search."""
    searched = records.find(arm="evolution", seed=seed)
    if searched is None:
        raise ValueError(
            "The arms of one training need the compute of the arm "
            f"`evolution` of the same seed. Received: seed={seed}"
        )
    keras.utils.set_random_seed(seed)
    model = build()
    if arm != "continued":
        model = keras.models.model_from_json(searched["configs"][arm])
        _compile(model)
    batches = shuffled((data[0].x, data[0].y), seed)
    epochs = round(
        cost.matched_epochs(searched["spent"], model, samples=IMAGES)
    )
    log = EpochLog()
    begin = time.perf_counter()
    model.fit(
        batches,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=[log, CosineRestart(epochs, RATE, 0.0)],
    )
    seconds = time.perf_counter() - begin
    return {
        "test": _test(model, data[2]),
        "validation": _test(model, data[1]),
        "macs": cost.summarize(model).macs,
        "params": model.count_params(),
        "spent": log.spent,
        "epochs": epochs,
        "seconds": round(seconds, 1),
    }


def _test(model: keras.Model, split: Split) -> float:
    found = model.evaluate(*split, batch_size=500, verbose=0, return_dict=True)
    return round(found["accuracy"], 4)


def _compile(model: keras.Model) -> None:
    model.compile(
        keras.optimizers.Adam(RATE),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=keras.backend.backend() == "jax",
    )


def _settings() -> dict[str, Any]:
    return {
        "images": IMAGES,
        "widths": WIDTHS,
        "rate": RATE,
        "max_macs": MAX_MACS,
        "parent_epochs": PARENT_EPOCHS,
        "searches": SEARCHES,
    }


if __name__ == "__main__":
    main()
