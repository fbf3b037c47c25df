"""A search under a limit of half the measured latency of a base network.

Run with `KERAS_BACKEND=tensorflow python -m benchmarks.nas.latency`. The base
network is the default of the space. The network that the search delivers,
the first random one that keeps the limit, and the widest of the base's narrow
copies that keeps it are trained by the recipe of the base; all files are
measured once more in one loop. One row per seed; `--fresh` measures all.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import keras
import keras_tuner

from benchmarks.nas import fashion
from benchmarks.nas.latency_space import WIDTHS, build, compile_model
from benchmarks.records import Records
from keras_netopt import cost, export, search

NAME = "nas_latency"
SEEDS = 3
SETTINGS = {
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
BATCH = SETTINGS["batch"]


def main() -> None:
    """Measures every missing seed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--fresh", action="store_true")
    options = parser.parse_args()
    records = Records(NAME, SETTINGS, fresh=options.fresh)
    for seed in range(SEEDS):
        if not records.find(seed=seed):
            row = measure(seed)
            records.add({"seed": seed, **row})
            print(row, flush=True)


def measure(seed: int) -> dict[str, Any]:
    """Searches once, and trains what is compared."""
    train, validation, test = fashion.load(SETTINGS["images"])
    base = network({})
    limit = search.MaxLatency(ratio=SETTINGS["ratio"], reference=base)
    # An interrupted search goes on, with the latencies that it has measured.
    folder = Path(tempfile.gettempdir(), "netopt_nas_latency")
    tuner = search.RegularizedEvolution(
        for_search,
        objective="val_accuracy",
        max_trials=SETTINGS["trials"],
        n_startup_trials=5,
        seed=seed,
        constraints=limit,
        keep_weights="best",
        directory=folder,
        project_name=f"seed_{seed}",
    )
    tuner.search(
        train.x[: SETTINGS["search_images"]],
        train.y[: SETTINGS["search_images"]],
        validation_data=(validation.x, validation.y),
        batch_size=BATCH,
        epochs=SETTINGS["search_epochs"],
        verbose=0,
    )
    trials = tuner.oracle.trials
    first = trials[tuner.oracle.start_order[0]].hyperparameters.values
    best = tuner.oracle.get_best_trials()[0].hyperparameters.values
    rejected = sum(tuner.checker.rejected.values())
    values = {
        "base": {},
        "found": dict(best),
        "random": dict(first),
        "narrow": narrow(limit),
    }
    models, accuracy = {}, {}
    for arm, point in values.items():
        keras.utils.set_random_seed(seed)
        model = models[arm] = network(point)
        steps = SETTINGS["epochs"] * -(-len(train.x) // BATCH)
        compile_model(model, steps)
        model.fit(
            train.x,
            train.y,
            batch_size=BATCH,
            epochs=SETTINGS["epochs"],
            verbose=0,
        )
        found = model.evaluate(test.x, test.y, verbose=0, return_dict=True)
        accuracy[arm] = round(float(found["accuracy"]), 4)
    ratios = compare(models)
    return {
        "values": values,
        "rejected": rejected,
        "accuracy": accuracy,
        "ratio": ratios,
        "macs": {n: cost.summarize(m).macs for n, m in models.items()},
    }


def for_search(hp: Any) -> keras.Model:
    """Returns a network compiled for the short training of a trial."""
    model = build(hp)
    images, epochs = SETTINGS["search_images"], SETTINGS["search_epochs"]
    compile_model(model, int(epochs) * -(-int(images) // BATCH))
    return model


def network(values: dict[str, Any]) -> keras.Model:
    """Returns the network of some values, the others at their defaults."""
    hp = keras_tuner.HyperParameters()
    hp.values = dict(values)
    return build(hp)


def narrow(limit: search.MaxLatency) -> dict[str, Any]:
    """Returns the widest copy of the base that keeps the limit."""
    for width in sorted(WIDTHS, reverse=True):
        values = {"width_1": width, "width_2": width}
        if search.check_model(network(values), limit).is_feasible:
            return values
    raise ValueError("No width keeps the limit.")


def compare(models: dict[str, keras.Model]) -> dict[str, list[float]]:
    """Measures all networks in one loop; returns latencies over the base's."""
    ratios: dict[str, list[float]] = {arm: [] for arm in models}
    with tempfile.TemporaryDirectory() as folder:
        files = {arm: str(Path(folder, f"{arm}.tflite")) for arm in models}
        for arm, model in models.items():
            export.to_litert(model, files[arm])
        for _ in range(SETTINGS["loops"]):
            report = cost.measure_latency(files, rounds=SETTINGS["rounds"])
            base = report["base"].median
            for arm in models:
                ratios[arm].append(round(report[arm].median / base, 4))
    return ratios


if __name__ == "__main__":
    main()
