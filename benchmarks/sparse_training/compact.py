"""Units that zeros make dead, and channels that are trained to zero.

Run with `python -m benchmarks.sparse_training.compact`; needs the TensorFlow
backend, for the files are LiteRT. Rows that are already in the JSON are kept;
`--fresh` measures all.
"""

import argparse
import time
from typing import Any

import keras

import keras_netopt as netopt
from benchmarks.records import Records
from benchmarks.sparse_training import compact_arms as arms

NAME = "sparse_training_compact"
CHANNELS = "sparse_training_channels"
SETTINGS = {
    "data": f"Fashion-MNIST, {arms.TRAINED} train, 10,000 test, in [0, 1]",
    "network": "784-300-100-10",
    "optimizer": f"SGD {arms.RATE}, momentum {arms.MOMENTUM}",
    "batch": arms.BATCH,
    "epochs": 3,
    "min_kept": None,
}
CHANNEL_SETTINGS = {
    "data": f"Fashion-MNIST, {arms.POOLED} train, 10,000 test, 14 x 14",
    "network": f"CNN of widths {arms.WIDTHS}, batch normalization with "
    "momentum 0.9",
    "optimizer": f"SGD {arms.RATE} to 0 by cosine, momentum {arms.MOMENTUM}",
    "batch": arms.BATCH,
    "epochs": arms.EPOCHS,
    "cut": arms.CUT,
    "strength": [arms.SLIMMING, arms.LASSO],
}
AT_START = {
    "magnitude": {"allocation": "global"},
    "random": {"score": "random", "allocation": "erk"},
    "snip": {"score": "snip"},
    "grasp": {"score": "grasp"},
    "synflow": {"score": "synflow"},
}


def main() -> None:
    """Measures every missing row."""
    options = _parse()
    records = Records(NAME, SETTINGS, fresh=options.fresh)
    channels = Records(CHANNELS, CHANNEL_SETTINGS, fresh=options.fresh)
    for seed in range(options.channel_seeds):
        for name in options.arms:
            key = {"arm": name, "seed": seed}
            if not channels.find(**key):
                _add(channels, key, _measure_channels, channels, name, seed)
    jobs = [(_measure_start, name) for name in AT_START]
    jobs += [(_measure_trained, name) for name in TRAINERS]
    for seed in range(options.seeds):
        for sparsity in reversed(arms.SPARSITIES):
            for measure, name in jobs:
                key = {"masks": name, "sparsity": sparsity, "seed": seed}
                key["trained"] = measure is _measure_trained
                if not records.find(**key):
                    _add(records, key, measure, name, sparsity, seed)


def _add(
    records: Records, key: dict[str, Any], measure: Any, *given: Any
) -> None:
    begin = time.process_time()
    row = {**key, **measure(*given)}
    row["cpu_seconds"] = round(time.process_time() - begin, 1)
    records.add(row)
    print(row, flush=True)


def _measure_start(name: str, sparsity: float, seed: int) -> dict[str, Any]:
    model = arms.build_dense(seed)
    x, y, *_ = arms.data(False)
    netopt.sparsity.prune(
        model,
        sparsity,
        min_kept=SETTINGS["min_kept"],
        calibration_data=(x, y),
        seed=seed,
        **AT_START[name],
    )
    return _compact(model)


def _static(sparsity: float, seed: int) -> Any:
    return netopt.callbacks.SparseTraining(sparsity, regrow=None, seed=seed)


def _set(sparsity: float, seed: int) -> Any:
    return netopt.callbacks.SparseTraining(sparsity, regrow="random", seed=seed)


def _rigl(sparsity: float, seed: int) -> Any:
    return netopt.callbacks.SparseTraining(
        sparsity, regrow="gradient", seed=seed
    )


def _pruning(sparsity: float, seed: int) -> Any:
    return netopt.callbacks.Pruning(sparsity, seed=seed)


TRAINERS = {
    "static": _static,
    "set": _set,
    "rigl": _rigl,
    "pruning": _pruning,
}


def _measure_trained(name: str, sparsity: float, seed: int) -> dict[str, Any]:
    model = arms.build_dense(seed)
    arms.fit(model, False, TRAINERS[name](sparsity, seed), epochs=3)
    before = arms.accuracy(model, False)
    return {"accuracy": before, **_compact(model)}


def _compact(model: keras.Model) -> dict[str, Any]:
    """Compacts a network and compares it with what it was."""
    masked = keras.models.clone_model(model)
    masked.set_weights(model.get_weights())
    *_, x, y = arms.data(False)
    outputs = masked.predict(x[:2000], verbose=0)
    weights = sum(int((w != 0).sum()) for w in model.get_weights())
    report = netopt.sparsity.compact(model)
    made = model.predict(x[:2000], verbose=0)
    scale = max(1.0, float(abs(outputs).max()))
    found = arms.latencies({"masked": masked, "compact": model})
    return {
        "units": [layer.units for layer in model.layers[1:]],
        "nonzero": weights,
        "params": [report.before.params, report.after.params],
        "difference": float(abs(made - outputs).max() / scale),
        "latency": [found["masked"], found["compact"]],
    }


def _measure_channels(records: Records, name: str, seed: int) -> dict[str, Any]:
    widths = arms.WIDTHS
    if name == "scratch":
        found = records.find(arm="slimming", seed=seed)
        if found is None:
            raise ValueError(
                'The arm "scratch" needs the widths that "slimming" found. '
                f"Measure this arm first. Received: seed={seed}"
            )
        widths = tuple(found["widths"])
    model = arms.build_cnn(seed, widths)
    make = arms.CALLBACKS[name][1] if name in arms.CALLBACKS else None
    history = arms.fit(model, True, make and make())
    dense = arms.build_cnn(seed)
    latency = arms.latencies({"dense": dense, "this": model})
    dead = history.get("dead_channels", [])
    cut = int(arms.CUT * arms.EPOCHS)
    return {
        "accuracy": arms.accuracy(model, True),
        "widths": [model.get_layer(f"conv_{k}").filters for k in range(1, 5)],
        "params": model.count_params(),
        "macs": netopt.cost.summarize(model).macs,
        "dead": dead[cut - 1] if dead else None,
        "before_cut": history["accuracy"][cut - 1],
        "latency": [latency["dense"], latency["this"]],
    }


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--channel-seeds", type=int, default=3)
    names = ["dense", *arms.CALLBACKS, "scratch"]
    parser.add_argument("--arms", nargs="+", default=names)
    return parser.parse_args()


if __name__ == "__main__":
    main()
