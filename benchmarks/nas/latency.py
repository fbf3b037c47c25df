"""A search under a limit of half the measured latency of a base network.

Run with `KERAS_BACKEND=tensorflow python -m benchmarks.nas.latency`. The base
network is the default of the space. The network that the search delivers,
the base with a stride of 2 in its first layer, and the first random network
that keeps the limit are trained by the recipe of the base with three seeds;
all files are measured once more in one loop. `--fresh` measures all.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import keras
import keras_tuner

from benchmarks.nas import fashion
from benchmarks.nas.latency_space import build, compile_model
from benchmarks.records import Records
from keras_netopt import cost, export, search

NAME = "nas_latency"
SEEDS = 3
SETTINGS: dict[str, Any] = {
    "ratio": 0.5,
    "trials": 10,
    "search_images": 4_000,
    "search_epochs": 2,
    "images": 8_000,
    "epochs": 5,
    "batch": 128,
    "loops": 3,
    "rounds": 300,
}


def main() -> None:
    """Searches once, then trains what is missing."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--fresh", action="store_true")
    options = parser.parse_args()
    records = Records(NAME, SETTINGS, fresh=options.fresh)
    found = records.find(part="search")
    if found is None:
        found = {"part": "search", **run_search(options.fresh)}
        records.add(found)
        print(found, flush=True)
    if not records.find(part="latency"):
        row = {"part": "latency", **compare(found["values"])}
        records.add(row)
        print(row, flush=True)
    for arm, values in found["values"].items():
        for seed in range(SEEDS):
            if not records.find(part="training", arm=arm, seed=seed):
                row = {"part": "training", "arm": arm, "seed": seed}
                row["accuracy"] = train(values, seed)
                records.add(row)
                print(row, flush=True)


def run_search(is_fresh: bool = False) -> dict[str, Any]:
    """Returns the networks that are compared, by arm."""
    train_set, validation, _ = fashion.load(SETTINGS["images"])
    limit = search.MaxLatency(ratio=SETTINGS["ratio"], reference=network({}))
    # An interrupted search goes on, with the latencies that it has measured.
    tuner = search.RegularizedEvolution(
        for_search,
        objective="val_accuracy",
        max_trials=SETTINGS["trials"],
        n_startup_trials=5,
        seed=0,
        constraints=limit,
        keep_weights="best",
        directory=Path(tempfile.gettempdir(), "netopt_nas_latency"),
        project_name="seed_0",
        overwrite=is_fresh,
    )
    tuner.search(
        train_set.x[: SETTINGS["search_images"]],
        train_set.y[: SETTINGS["search_images"]],
        validation_data=(validation.x, validation.y),
        batch_size=SETTINGS["batch"],
        epochs=SETTINGS["search_epochs"],
        verbose=0,
    )
    trials = tuner.oracle.trials
    first = trials[tuner.oracle.start_order[0]].hyperparameters.values
    best = tuner.oracle.get_best_trials()[0].hyperparameters.values
    values = {
        "base": {},
        "found": dict(best),
        "stride": {"stem_stride": 2},
        "random": dict(first),
    }
    return {
        "values": values,
        "rejected": sum(tuner.checker.rejected.values()),
        "macs": {n: cost.summarize(network(v)).macs for n, v in values.items()},
    }


def train(values: dict[str, Any], seed: int) -> float:
    """Returns the test accuracy after a training by the recipe."""
    train_set, _, test = fashion.load(SETTINGS["images"])
    keras.utils.set_random_seed(seed)
    model = network(values)
    batch, epochs = SETTINGS["batch"], SETTINGS["epochs"]
    compile_model(model, epochs * -(-len(train_set.x) // batch))
    model.fit(
        train_set.x, train_set.y, batch_size=batch, epochs=epochs, verbose=0
    )
    found = model.evaluate(test.x, test.y, verbose=0, return_dict=True)
    return round(float(found["accuracy"]), 4)


def for_search(hp: Any) -> keras.Model:
    """Returns a network compiled for the short training of a trial."""
    model = build(hp)
    images, epochs = SETTINGS["search_images"], SETTINGS["search_epochs"]
    compile_model(model, epochs * -(-images // SETTINGS["batch"]))
    return model


def network(values: dict[str, Any]) -> keras.Model:
    """Returns the network of some values, the others at their defaults."""
    hp = keras_tuner.HyperParameters()
    build(hp)  # Registers the names, with their defaults.
    hp.values = {**hp.values, **values}
    return build(hp)


def compare(values: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Measures all networks in one loop; returns latencies over the base's."""
    ratios: dict[str, list[float]] = {arm: [] for arm in values}
    medians = []
    with tempfile.TemporaryDirectory() as folder:
        files = {arm: str(Path(folder, f"{arm}.tflite")) for arm in values}
        for arm, point in values.items():
            export.to_litert(network(point), files[arm])
        for _ in range(SETTINGS["loops"]):
            report = cost.measure_latency(files, rounds=SETTINGS["rounds"])
            base = report["base"].median
            medians.append(round(base, 5))
            for arm in values:
                ratios[arm].append(round(report[arm].median / base, 4))
    return {"ratio": ratios, "base_ms": medians}


if __name__ == "__main__":
    main()
